"""What a ladder answers, on numbers made by hand: nothing is called working or better that is not shown to be."""

import pytest

from mammo_tf.adaptation.ladder_words import answer


def number(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 100, "how": ""}


def row(name, measure, difference=None, needs="unlabelled pictures", distance=0.03, against_best=None):
    point = {"sensitivity": number(0.8), "specificity": number(0.7), "distance": number(distance)}
    return {
        "name": name, "title": name.capitalize(), "needs": needs, "labelled_patients": 60, "unlabelled_patients": 40,
        "why_not": "", "chosen_on": {"measure": number(0.7), "against_best": against_best},
        "test": {"measure": number(*measure), "against_untouched": difference, "at_own": point},
    }  # fmt: skip


def ladder(*rows, chosen, best=None, rule="not_below", **more):
    choice = {
        "rung": chosen, "by_measure": chosen, "best": best or chosen, "split": "validation", "positives": 54,
        "rule": rule, "tolerance": 0.05, "reason": "it is cheap",
    }  # fmt: skip
    absent = {"name": "spottune", "title": "SpotTune", "why_not": "no residual blocks"}
    intended = {"sensitivity": 0.81, "specificity": 0.72, "where": "the reference"}
    return {
        "measure": "auc", "measure_title": "AUC of breasts", "rungs": [*rows, absent], "choice": choice,
        "intended": intended, **more,
    }  # fmt: skip


UNTOUCHED = row("untouched", (0.60, 0.52, 0.70), needs="nothing")


def test_a_gain_is_told_with_what_it_needs():
    found = answer(
        ladder(UNTOUCHED, row("harmonised", (0.77, 0.7, 0.85), number(0.17, 0.06, 0.27)), chosen="harmonised")
    )
    assert "pictures of 40 patients and no label" in found
    assert "+0.170 (+0.060 to +0.270): a gain." in found
    assert "within 0.030" in found


@pytest.mark.parametrize(
    ("ends", "words"), [((0.01, -0.02, 0.04), "a gain is not shown"), ((-0.1, -0.2, -0.02), "a loss")]
)
def test_no_gain_is_called_one(ends, words):
    found = answer(ladder(UNTOUCHED, row("histogram", (0.61, 0.52, 0.7), number(*ends)), chosen="histogram"))
    assert f": {words}." in found


def test_what_is_no_better_than_chance_is_not_called_working():
    poor = row("untouched", (0.45, 0.35, 0.55), needs="nothing")
    found = answer(ladder(poor, row("histogram", (0.5, 0.4, 0.6), number(0.05, 0.0, 0.1)), chosen="untouched"))
    assert found.startswith("The model is not shown to work here by any way that was tried")


def test_others_that_work_are_not_denied():
    poor = row("untouched", (0.45, 0.35, 0.55), needs="nothing", against_best=number(-0.1, -0.21, 0.01))
    good = row("harmonised", (0.77, 0.7, 0.85), number(0.3, 0.2, 0.4))
    found = answer(ladder(poor, good, chosen="untouched", best="harmonised"))
    assert "by any way" not in found
    assert "others are above chance on test" in found
    assert "may be as much as 0.210 below" in found


def test_leaving_the_model_alone_rests_on_where_the_choice_was_made():
    found = answer(ladder(UNTOUCHED, chosen="untouched"))
    assert found.startswith("On validation no way to adapt the model is shown to be better")
    far = row("untouched", (0.60, 0.52, 0.70), needs="nothing", distance=0.3)
    assert "it is 0.300 off" in answer(ladder(far, chosen="untouched"))
    unknown = answer({**ladder(UNTOUCHED, chosen="untouched"), "intended": None})
    assert "what was intended is not known" in unknown
