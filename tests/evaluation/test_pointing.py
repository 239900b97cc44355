"""The pointing game on maps solved by hand."""

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.pointing import pointing

BREAST = np.zeros((40, 40), np.bool_)
BREAST[:, :20] = True
FINDING = np.zeros((40, 40), np.bool_)
FINDING[10:14, 4:8] = True


def spot(row, column, value=1.0, size=(40, 40)):
    heat = np.zeros(size, np.float32)
    heat[row, column] = value
    return heat


def test_a_maximum_on_the_finding_hits_and_one_beyond_the_tolerance_does_not():
    assert pointing(spot(12, 5), FINDING, BREAST, 0).hit
    assert not pointing(spot(20, 5), FINDING, BREAST, 6).hit
    assert pointing(spot(20, 5), FINDING, BREAST, 7).hit  # rows 13 and 20 are seven apart


def test_what_lies_outside_the_breast_is_counted_and_does_not_play():
    both = spot(12, 5, 0.5) + spot(5, 35, 1.5)
    found = pointing(both, FINDING, BREAST, 0)
    assert found.hit and found.peak_outside
    assert found.in_breast == pytest.approx(0.25)
    assert found.in_finding == pytest.approx(0.25)


def test_chance_is_the_share_of_the_breast_where_a_hit_is():
    assert pointing(spot(12, 5), FINDING, BREAST, 0).by_chance == pytest.approx(16 / 800)
    wider = pointing(spot(12, 5), FINDING, BREAST, 1).by_chance
    assert wider == pytest.approx((16 + 16) / 800)  # four sides of four pixels; corners are sqrt 2 away


def test_random_points_hit_as_often_as_chance_says():
    random = np.random.default_rng(0)
    hits = [pointing(spot(random.integers(40), random.integers(20)), FINDING, BREAST, 3).hit for _ in range(2000)]
    assert np.mean(hits) == pytest.approx(pointing(spot(0, 0), FINDING, BREAST, 3).by_chance, abs=0.02)


def test_a_coarse_map_lies_over_the_whole_picture():
    heat = spot(1, 0, size=(4, 4))  # rows 10 to 19, columns 0 to 9
    found = pointing(heat, FINDING, BREAST, 5)
    assert found.hit and not found.peak_outside and found.in_breast > 0.9


def test_a_map_without_evidence_has_no_shares():
    found = pointing(-np.ones((4, 4), np.float32), FINDING, BREAST, 0)
    assert np.isnan(found.in_breast) and np.isnan(found.in_finding)


def test_nothing_to_point_at_is_refused():
    empty = np.zeros_like(FINDING)
    for finding, breast, code in ((empty, BREAST, "finding_empty"), (FINDING, empty, "mask_empty")):
        with pytest.raises(MammoError) as caught:
            pointing(spot(1, 1), finding, breast, 0)
        assert caught.value.code == code
    with pytest.raises(MammoError, match="a finding of"):
        pointing(spot(1, 1), FINDING, BREAST[:20], 0)
