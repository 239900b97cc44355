"""Clusters, solved by hand, and the laws that they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.clusters import HitRule, label_clusters, match_clusters, specks_found


def picture(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (30, 40)) -> np.ndarray:
    """A mask of boxes, top, bottom, left, right."""
    mask = np.zeros(size, bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


TRUTH = picture((2, 6, 2, 6), (20, 24, 2, 6), (20, 24, 30, 34))
CALLED = picture((5, 9, 5, 9), (20, 24, 2, 7), (10, 12, 20, 22))


def test_three_clusters_by_hand() -> None:
    """One touched at a corner, one found whole, one missed; and a call that is nothing."""
    matched = match_clusters(CALLED, TRUTH)
    assert matched.found.tolist() == [True, True, False]
    assert matched.false.tolist() == [False, True, False]
    # Dice 2/32 and 32/36
    strict = match_clusters(CALLED, TRUTH, rule=HitRule("dice", 0.5))
    assert strict.found.tolist() == [False, True, False]
    assert strict.false.tolist() == [True, True, False]
    assert match_clusters(CALLED, TRUTH, rule=HitRule("dice", 32 / 36)).found.tolist() == [False, True, False]
    assert match_clusters(CALLED, TRUTH, rule=HitRule("dice", 0.89)).found.tolist() == [False, False, False]
    assert match_clusters(CALLED, TRUTH, rule=HitRule("dice", 2 / 32)).found.tolist() == [True, True, False]


def test_centres_are_measured_in_mm() -> None:
    """Centres 3 rows and 3 columns apart, and half a column."""
    near = match_clusters(CALLED, TRUTH, (0.1, 0.4), HitRule("centre", np.hypot(0.3, 1.2)))
    assert near.found.tolist() == [True, True, False]
    assert match_clusters(CALLED, TRUTH, (0.1, 0.4), HitRule("centre", 1.2)).found.tolist() == [False, True, False]
    assert match_clusters(CALLED, TRUTH, (0.1, 0.4), HitRule("centre", 0.2)).found.tolist() == [False, True, False]
    assert match_clusters(CALLED, TRUTH, (0.1, 0.4), HitRule("centre", 0.19)).found.tolist() == [False, False, False]
    with pytest.raises(MammoError, match="pixel spacing is not known"):
        match_clusters(CALLED, TRUTH, rule=HitRule("centre", 5))


def test_specks_that_lie_near_are_one_cluster() -> None:
    specks = picture((2, 3, 2, 3), (2, 3, 6, 7), (2, 3, 10, 11), (20, 21, 30, 31))
    assert label_clusters(specks).max() == 4
    # 4 columns of 0.2 mm: 0.8 mm from centre to centre; the chain holds together
    joined = label_clusters(specks, (0.1, 0.2), 0.8)
    assert [joined[2, 2], joined[2, 6], joined[2, 10], joined[20, 30]] == [1, 1, 1, 2]
    assert label_clusters(specks, (0.1, 0.2), 0.79).max() == 4
    assert label_clusters(picture((0, 1, 0, 1), (1, 2, 1, 2))).max() == 1, "a corner joins"
    called = picture((2, 3, 10, 11))
    assert match_clusters(called, specks, (0.1, 0.2), join_mm=0.8).found.tolist() == [True, False]


def test_recall_by_speck() -> None:
    specks = picture((2, 3, 2, 3), (2, 3, 6, 7), (2, 3, 10, 11), (20, 21, 30, 31))
    assert specks_found(picture((1, 4, 1, 8)), specks) == (2, 4), "a call over two specks finds both"
    assert specks_found(np.zeros_like(specks), specks) == (0, 4)
    assert specks_found(specks, np.zeros_like(specks)) == (0, 0)


def test_empty_pictures() -> None:
    nothing = np.zeros((30, 40), bool)
    for rule in (HitRule(), HitRule("dice", 0.1), HitRule("centre", 3)):
        assert [part.tolist() for part in match_clusters(nothing, nothing, (1, 1), rule)] == [[], []]
        assert [part.tolist() for part in match_clusters(nothing, TRUTH, (1, 1), rule)] == [[False] * 3, []]
        assert [part.tolist() for part in match_clusters(CALLED, nothing, (1, 1), rule)] == [[], [True] * 3]


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        corners = generator.integers(0, 16, (generator.integers(0, 5), 2))
        masks.append(picture(*((top, top + 3, left, left + 4) for top, left in corners.tolist())))
    return masks[0], masks[1]


rules = st.sampled_from([HitRule(), HitRule("dice", 0.3), HitRule("centre", 1.5)])


@given(seed=st.integers(0, 10_000), rule=rules)
@settings(max_examples=60, deadline=None)
def test_a_far_false_call_adds_one_false_cluster_and_nothing_else(seed: int, rule: HitRule) -> None:
    called, truth = blobs(seed)
    before = match_clusters(called, truth, (0.5, 0.5), rule)
    called[26:28, 36:38] = True
    after = match_clusters(called, truth, (0.5, 0.5), rule)
    np.testing.assert_array_equal(after.found, before.found)
    assert after.false.sum() == before.false.sum() + 1


@given(seed=st.integers(0, 10_000), rule=rules)
@settings(max_examples=60, deadline=None)
def test_calling_exactly_the_truth_finds_all_and_nothing_false(seed: int, rule: HitRule) -> None:
    truth, _ = blobs(seed)
    matched = match_clusters(truth, truth, (0.5, 0.5), rule)
    assert matched.found.all()
    assert not matched.false.any()


@given(seed=st.integers(0, 10_000), join=st.floats(0, 5), more=st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_joining_farther_makes_no_more_clusters(seed: int, join: float, more: float) -> None:
    mask, _ = blobs(seed)
    near, far = (label_clusters(mask, (0.5, 0.5), mm) for mm in (join, join + more))
    assert far.max() <= near.max()
    np.testing.assert_array_equal(far > 0, mask)
    pairs = {(int(a), int(b)) for a, b in zip(near[mask], far[mask], strict=True)}
    assert len(pairs) == near.max(), "a cluster goes into one"


@pytest.mark.parametrize(
    ("kind", "value"), [("nearness", 0), ("dice", 0), ("dice", 1.5), ("centre", 0), ("centre", np.nan)]
)
def test_a_rule_that_is_none_is_told(kind: str, value: Any) -> None:
    with pytest.raises(MammoError) as told:
        HitRule(kind, value)
    assert told.value.code == "rule_wrong"
