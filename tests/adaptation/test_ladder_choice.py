"""Which rung is taken, on numbers made by hand."""

import pytest

from mammo_tf.adaptation.ladder_choice import NOT_INFERIOR, choose, choose_point


def number(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 100, "how": ""}


def apart_of(table):
    return lambda best, name: number(*table[name])


def test_the_cheapest_that_is_not_shown_to_be_below_the_best():
    measures = {"untouched": number(0.70), "matched": number(0.80), "tuned": number(0.85)}
    ends = {"untouched": (-0.15, -0.25, -0.05), "matched": (-0.05, -0.12, 0.02)}
    found = choose(measures, apart_of(ends))
    assert (found.rung, found.best) == ("matched", "tuned")
    assert set(found.against_best) == {"untouched", "matched"}
    assert "-0.050 (-0.120 to +0.020)" in found.reason


def test_the_best_is_taken_where_all_cheaper_ones_are_below_it():
    measures = {"untouched": number(0.70), "tuned": number(0.85)}
    found = choose(measures, apart_of({"untouched": (-0.15, -0.25, -0.05)}))
    assert found.rung == found.best == "tuned"
    assert choose(measures, apart_of({"untouched": (-0.15, -0.25, -0.05)}), margin=0.06).rung == "untouched"


def test_the_stricter_rule_wants_it_shown():
    measures = {"untouched": number(0.60), "matched": number(0.66), "tuned": number(0.67)}
    ends = {"untouched": (-0.07, -0.21, 0.01), "matched": (-0.01, -0.04, 0.02)}
    assert choose(measures, apart_of(ends)).rung == "untouched"
    strict = choose(measures, apart_of(ends), 0.05, NOT_INFERIOR)
    assert strict.rung == "matched"
    assert "shown not to be below the best by more than 0.05" in strict.reason
    assert choose(measures, apart_of(ends), 0.0, NOT_INFERIOR).rung == "tuned"


def test_of_equals_the_cheapest_is_the_best():
    measures = {"untouched": number(0.8), "scores_matched": number(0.8), "tuned": number(0.7)}
    found = choose(measures, apart_of({"scores_matched": (0.0, None, None), "tuned": (-0.1, -0.2, -0.01)}))
    assert found.rung == found.best == "untouched"


def test_without_an_interval_a_lower_rung_does_not_hold():
    measures = {"untouched": number(0.70), "tuned": number(0.85)}
    assert choose(measures, apart_of({"untouched": (-0.15, None, None)})).rung == "tuned"


def test_rungs_without_a_measure_are_passed_over():
    assert choose({"untouched": number(None)}, apart_of({})) is None
    assert choose({"untouched": number(None), "tuned": number(0.6)}, apart_of({})).rung == "tuned"


@pytest.mark.parametrize(
    ("distances", "wanted"),
    [
        ([(0.30, 0.20, 0.40), (0.06, 0.02, 0.15), (0.01, 0.0, 0.05)], "second"),
        ([(0.30, 0.20, 0.40), (0.20, 0.10, 0.30), (0.12, 0.08, 0.20)], "third"),
        ([(0.04, 0.01, 0.09), (0.0, 0.0, 0.05), (0.0, 0.0, 0.05)], "first"),
        ([(None,), (0.06, 0.02, 0.15), (None,)], "second"),
    ],
)
def test_the_cheapest_threshold_that_may_be_the_intended_one(distances, wanted):
    points = [
        (name, {"distance": number(*distance)})
        for name, distance in zip(("first", "second", "third"), distances, strict=True)
    ]
    assert choose_point(points, 0.05) == wanted


def test_no_threshold_is_better_than_another_where_nothing_is_intended():
    assert choose_point([("first", None), ("second", {"distance": None})], 0.05) is None
