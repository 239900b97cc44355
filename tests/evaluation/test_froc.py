"""The free-response curve, solved by hand, and the laws that it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, write_predictions
from mammo_tf.evaluation.clusters import match_clusters
from mammo_tf.evaluation.froc import (
    CLUSTERS,
    THRESHOLDS,
    ClusterCounts,
    count_clusters,
    froc_curve,
    froc_numbers,
    froc_row,
    sensitivity_at,
    table_counts,
)

CUTS = (0.2, 0.5, 0.8)


def scene(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two pictures: two clusters called at 0.9 and 0.3, false ones at 0.6 and 0.25; and a normal one, false at 0.4."""
    truth, probability = np.zeros((2, 20, 20), bool), np.zeros((2, 20, 20))
    truth[0, 2:5, 2:5] = truth[0, 12:15, 2:5] = True
    probability[0, 2:5, 2:5], probability[0, 12:15, 2:5], probability[0, 2:5, 14:16] = 0.9, 0.3, 0.6
    probability[0, 12:15, 14:16], probability[1, 8:10, 8:10] = 0.25, 0.4
    return list(zip(probability, truth, strict=True))


def test_a_curve_by_hand() -> None:
    counts = [count_clusters(*pair, CUTS) for pair in scene()]
    curve = froc_curve(counts, CUTS)
    assert (curve.images, curve.clusters) == (2, 2)
    assert curve.thresholds.tolist() == [0.8, 0.5, 0.2]
    assert curve.sensitivity.tolist() == [0.5, 0.5, 1.0]
    assert curve.false_per_image.tolist() == [0.0, 0.5, 1.5]
    steps = sensitivity_at(curve.sensitivity, curve.false_per_image, (0, 0.25, 1.49, 1.5, 4))
    assert steps.tolist() == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert sensitivity_at(curve.sensitivity[1:], curve.false_per_image[1:], (0.25,)).tolist() == [0.0]


def test_numbers_with_intervals_over_patients() -> None:
    counts = [count_clusters(*pair, CUTS) for pair in scene()] * 6
    patients = np.repeat(np.arange(6), 2)
    numbers = froc_numbers(counts, patients, CUTS, (0.25, 1.5), Resampling(200))
    assert list(numbers) == ["sensitivity_at_0.25_false_clusters", "sensitivity_at_1.5_false_clusters"]
    assert [number["value"] for number in numbers.values()] == [0.5, 1.0]
    assert numbers["sensitivity_at_1.5_false_clusters"]["n"] == 12
    assert "bootstrap over 6 patients" in numbers["sensitivity_at_1.5_false_clusters"]["how"]
    assert "a pixel in common" in numbers["sensitivity_at_1.5_false_clusters"]["how"]
    assert numbers["sensitivity_at_1.5_false_clusters"]["low"] is None, "all patients are alike"
    apart = froc_numbers(counts, np.arange(12), CUTS, (1.5,), Resampling(200))["sensitivity_at_1.5_false_clusters"]
    assert apart["value"] == 1.0
    assert apart["low"] == 0.5, "a resample with more sick pictures has too many false ones at the low threshold"
    normal = froc_numbers([counts[1]], ["a"], CUTS, (1.5,), Resampling(20))["sensitivity_at_1.5_false_clusters"]
    assert (normal["value"], normal["why"]) == (None, "no image has a cluster")


def test_the_interval_is_that_of_resampled_sums() -> None:
    """Computed a second way, image by image."""
    generator = np.random.default_rng(5)
    counts = [
        ClusterCounts(
            int(clusters), np.sort(generator.integers(0, clusters + 1, 3)), np.sort(generator.integers(0, 4, 3))
        )
        for clusters in generator.integers(0, 4, 20)
    ]
    patients = generator.integers(0, 7, 20)
    resampling = Resampling(150, seed=3)
    number = froc_numbers(counts, patients, CUTS, (1.2,), resampling)["sensitivity_at_1.2_false_clusters"]
    _, groups = np.unique(patients, return_inverse=True)
    drawn, again = [], np.random.default_rng(3)
    for _ in range(150):
        chosen = [counts[at] for group in again.integers(7, size=7) for at in np.flatnonzero(groups == group)]
        curve = froc_curve(chosen, CUTS)
        drawn.append(sensitivity_at(curve.sensitivity, curve.false_per_image, (1.2,))[0])
    assert len(set(groups)) == 7
    assert (number["low"], number["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-12)
    bca = froc_numbers(counts, patients, CUTS, (1.2,), Resampling(150, method="bca"))
    assert bca["sensitivity_at_1.2_false_clusters"]["value"] == number["value"]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_sensitivity_never_falls_as_the_threshold_does_nor_as_more_is_allowed(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts = []
    for _ in range(3):
        truth = np.zeros((16, 16), bool)
        for row, column in generator.integers(0, 13, (generator.integers(0, 4), 2)):
            truth[row : row + 3, column : column + 3] = True
        counts.append(count_clusters(generator.random((16, 16)) ** 6, truth))
    curve = froc_curve(counts)
    if curve.clusters:
        assert (np.diff(curve.sensitivity) >= 0).all()
        steps = sensitivity_at(curve.sensitivity, curve.false_per_image, np.linspace(0, 20, 50))
        assert (np.diff(steps) >= 0).all()
        assert steps[-1] <= 1
    else:
        assert np.isnan(curve.sensitivity).all()


@given(seed=st.integers(0, 10_000), level=st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_a_far_false_cluster_never_raises_the_curve(seed: int, level: float) -> None:
    generator = np.random.default_rng(seed)
    truth, probability = np.zeros((20, 30), bool), np.zeros((20, 30))
    truth[2:5, 2:5] = truth[12:15, 3:6] = True
    probability[:18, :12] = generator.random((18, 12)) ** 4
    before = froc_curve([count_clusters(probability, truth)])
    probability[17:19, 25:28] = level
    after = froc_curve([count_clusters(probability, truth)])
    np.testing.assert_array_equal(after.sensitivity, before.sensitivity)
    rates = np.linspace(0, 12, 40)
    both = [sensitivity_at(curve.sensitivity, curve.false_per_image, rates) for curve in (before, after)]
    assert (both[1] <= both[0]).all()


def test_what_is_wrong_is_told() -> None:
    probability, truth = scene()[0]
    for value, words in ((np.nan, "1 of 400 pixels"), (1.5, "no probability between 0 and 1"), (-0.1, "1 of 400")):
        broken = probability.copy()
        broken[0, 0] = value
        with pytest.raises(MammoError, match=words) as told:
            count_clusters(broken, truth)
        assert told.value.code == "probability_wrong"
    with pytest.raises(MammoError, match="20 x 20 pixels, the truth 20 x 19"):
        count_clusters(probability, truth[:, 1:])
    for cuts in ((), (0.0, 0.5), (1.1,), (np.nan,)):
        with pytest.raises(MammoError, match="above 0 and up to 1"):
            count_clusters(probability, truth, cuts)
    with pytest.raises(MammoError, match="an image at least"):
        froc_curve([])
    with pytest.raises(MammoError, match="other thresholds"):
        froc_curve([count_clusters(probability, truth, CUTS)])


def test_counts_go_through_the_columns_of_a_table_and_back(tmp_path: Path) -> None:
    counts = [count_clusters(*pair) for pair in scene()]
    table = pd.DataFrame([froc_row(one) | {CLUSTERS: one.clusters} for one in counts]).assign(image_id=["a", "b"])
    assert (table["clusters_found_at_0.90"][0], table["clusters_found_at_0.30"][0]) == (1, 2)
    assert (table["false_clusters_at_0.40"][1], table["false_clusters_at_0.45"][1]) == (1, 0)
    write_predictions(table, tmp_path / "segmentations.csv")
    for one in (table, pd.read_csv(tmp_path / "segmentations.csv", dtype=str)):
        again = table_counts(one)
        assert again is not None
        for first, second in zip(counts, again, strict=True):
            assert first.clusters == second.clusters
            assert (first.found.tolist(), first.false.tolist()) == (second.found.tolist(), second.false.tolist())
    assert table_counts(table.drop(columns=["false_clusters_at_0.40"])) is None
    for wrong in ("-1", "0.5", "", "many"):
        damaged = table.astype({"false_clusters_at_0.40": object})
        damaged.loc[1, "false_clusters_at_0.40"] = wrong
        with pytest.raises(MammoError, match="false_clusters_at_0.40 of image b") as caught:
            table_counts(damaged)
        assert caught.value.code == "count_wrong"


@given(arrays(np.float32, (9, 11), elements=st.integers(0, 20).map(lambda step: np.float32(step / 20))))
@settings(max_examples=20, deadline=None)
def test_what_is_counted_at_a_threshold_is_what_its_mask_holds(probability: np.ndarray) -> None:
    truth = np.zeros((9, 11), bool)
    truth[1:3, 1:4] = truth[5:8, 6:9] = True
    counts = count_clusters(probability, truth)
    for place, cut in enumerate(THRESHOLDS[::-1]):
        found, false = match_clusters(probability >= cut, truth)
        assert (counts.found[place], counts.false[place]) == (found.sum(), false.sum())
