"""The table of masks: its rows, its means, what is left out of them and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling
from mammo_tf.evaluation.froc import count_clusters, froc_row
from mammo_tf.evaluation.segmentations import COLUMNS, MEASURES, segmentation_metrics, segmentation_row
from mammo_tf.evaluation.titles import title_of

NOTHING, UNKNOWN = np.zeros((20, 20), bool), (np.nan, np.nan)


def square(top: int, left: int, side: int = 4) -> np.ndarray:
    mask = NOTHING.copy()
    mask[top : top + side, left : left + side] = True
    return mask


def table_of(*rows: tuple[np.ndarray, np.ndarray, tuple[float, float]]) -> pd.DataFrame:
    measured = pd.DataFrame([segmentation_row(*row) for row in rows])
    labels = [int(truth.any()) for _, truth, _ in rows]
    return measured.assign(split="test", patient_id=[f"p{number}" for number in range(len(rows))], label=labels)


def numbers_of(table: pd.DataFrame) -> dict:
    return segmentation_metrics(table, Resampling(50))["test"]["image"]


def test_a_row_by_hand() -> None:
    row = segmentation_row(square(2, 2) | square(12, 12), square(2, 4), (0.5, 0.25))
    assert tuple(row) == COLUMNS
    assert (row["tpr"], row["precision"], row["dsc"]) == (8 / 16, 8 / 32, 16 / 48)
    assert row["area_mm2"] == 16 * 0.125
    assert np.isnan(row["false_area_mm2"])
    assert (row["clusters"], row["clusters_found"], row["false_clusters"]) == (1, 1, 1)
    # the far corner of the other square, at (15, 15), is 10 rows and 8 columns from (5, 7)
    assert row["hd"] == pytest.approx(np.hypot(10 * 0.5, 8 * 0.25))


def test_a_call_without_a_finding_has_an_area_and_no_distance() -> None:
    row = segmentation_row(square(2, 2), NOTHING, (0.5, 0.25))
    assert (row["false_area_mm2"], row["area_mm2"], row["false_clusters"]) == (2.0, 0.0, 1)
    assert np.isnan(row["hd"])
    assert segmentation_row(NOTHING, NOTHING, (0.5, 0.25))["false_area_mm2"] == 0


def test_without_a_spacing_nothing_is_in_mm() -> None:
    row = segmentation_row(square(2, 2), square(2, 4), UNKNOWN)
    known = {name for name in COLUMNS if np.isfinite(row[name])}
    counts = {"clusters", "clusters_found", "false_clusters", "specks", "specks_found"}
    assert known == {"tpr", "precision", "dsc", *counts}
    with pytest.raises(MammoError, match="not above 0 mm"):
        segmentation_row(square(2, 2), square(2, 4), (0.0, 0.1))


def test_means_say_over_how_many_and_what_is_left_out() -> None:
    spacing = (0.1, 0.1)
    table = table_of(
        (square(2, 2), square(2, 4), spacing),
        (square(2, 2), square(2, 6), spacing),
        (NOTHING, square(2, 2), spacing),
        (square(2, 2), NOTHING, spacing),
        (NOTHING, NOTHING, spacing),
        (square(2, 2), square(2, 2), UNKNOWN),
    )
    numbers = numbers_of(table)
    assert numbers["hd"]["value"] == pytest.approx((0.2 + 0.4) / 2)
    assert numbers["hd"]["n"] == 2
    left = "4 of 6 images left out: 1 missed, 1 with a call and no finding, 1 with neither, 1 of unknown spacing"
    assert left in numbers["hd"]["how"]
    assert "border pixel centres (4 neighbours" in numbers["hd"]["how"]
    assert "larger of both ways" in numbers["hd95"]["how"]
    assert numbers["hd"]["caution"].startswith("spacing_unknown: 1 of 6 images")
    assert (numbers["dsc"]["value"], numbers["dsc"]["n"]) == (pytest.approx((0.5 + 0 + 0 + 0 + 1) / 5), 5)
    assert (numbers["missed"]["value"], numbers["missed"]["n"]) == (0.25, 4)
    assert (numbers["false_area_mm2"]["value"], numbers["false_area_mm2"]["n"]) == (pytest.approx(0.08), 2)
    assert (numbers["cluster_sensitivity"]["value"], numbers["cluster_sensitivity"]["n"]) == (0.5, 4)
    assert (numbers["false_clusters_per_image"]["value"], numbers["false_clusters_per_image"]["n"]) == (
        pytest.approx(2 / 6),
        6,
    )
    assert "caution" not in numbers["dsc"]
    assert numbers["dsc"]["low"] <= numbers["dsc"]["value"] <= numbers["dsc"]["high"]
    assert [title_of(measure.name) for measure in MEASURES] == [measure.title for measure in MEASURES]


def test_where_no_image_tells_its_spacing_there_is_no_number_in_mm() -> None:
    numbers = numbers_of(table_of((square(2, 2), square(2, 4), UNKNOWN), (NOTHING, NOTHING, UNKNOWN)))
    for name in ("hd", "hd95", "asd", "asd_reverse", "assd", "false_area_mm2", "dsc_up_to_25_mm2"):
        assert numbers[name]["value"] is None
        assert numbers[name]["why"].startswith("spacing_unknown: no image tells its pixel spacing")
    assert numbers["dsc"]["value"] == 0.5


def test_dice_by_the_size_of_the_finding() -> None:
    table = table_of(
        (square(2, 2, 5), square(2, 2, 5), (1, 1)),  # 25 mm2 belong to the first bin
        (NOTHING, square(2, 2, 4), (1, 1)),
        (square(2, 2, 6), square(2, 5, 6), (1, 1)),
        (square(0, 0, 19), square(0, 0, 20), (2, 2)),
        (square(2, 2), NOTHING, (1, 1)),
    )
    numbers = numbers_of(table)
    assert (numbers["dsc_up_to_25_mm2"]["value"], numbers["dsc_up_to_25_mm2"]["n"]) == (0.5, 2)
    assert (numbers["dsc_25_to_100_mm2"]["value"], numbers["dsc_25_to_100_mm2"]["n"]) == (0.5, 1)
    assert numbers["dsc_100_to_400_mm2"]["why"] == "no finding is of 100 to 400 mm²"
    assert numbers["dsc_above_400_mm2"]["value"] == pytest.approx(2 * 361 / (361 + 400))


def test_clusters_are_resampled_with_their_patients() -> None:
    many = square(0, 0, 2) | square(0, 6, 2) | square(0, 12, 2)
    table = table_of((many, many, (1, 1)), (NOTHING, square(2, 2), (1, 1)), (many, many, (1, 1)))
    number = numbers_of(table)["cluster_sensitivity"]
    assert (number["value"], number["n"]) == (pytest.approx(6 / 7), 7)
    assert number["low"] < number["value"] < number["high"]
    assert "bootstrap over 3 patients" in number["how"]


def test_means_of_overlaps_alone() -> None:
    """Tables of earlier versions have no distances."""
    table = pd.DataFrame(
        {
            "split": ["test"] * 4,
            "patient_id": ["a", "a", "b", "c"],
            "label": [1, 1, 1, 0],
            "tpr": [0.5, 1.0, 0.0, np.nan],
            "precision": [1.0, 0.5, np.nan, 0.0],
            "dsc": [0.6, 0.6, 0.0, 0.0],
        }
    )
    numbers = segmentation_metrics(table, Resampling(200))["test"]["image"]
    assert list(numbers) == ["tpr", "precision", "dsc"]
    assert (numbers["tpr"]["value"], numbers["tpr"]["n"]) == (0.5, 3)
    assert (numbers["precision"]["value"], numbers["precision"]["n"]) == (0.5, 3)
    assert numbers["dsc"]["value"] == pytest.approx(0.3)
    assert numbers["dsc"]["low"] <= 0.3 <= numbers["dsc"]["high"]


def test_a_mean_over_no_image_says_why() -> None:
    table = table_of((NOTHING, NOTHING, (1, 1)))
    numbers = numbers_of(table)
    assert numbers["precision"]["why"] == "nothing is called in any image"
    assert numbers["hd"]["why"] == "in no image are both a finding and a call"
    assert numbers["cluster_sensitivity"]["why"] == "no image has a finding"
    assert numbers["false_area_mm2"]["value"] == 0


def test_recall_by_speck_is_over_all_specks() -> None:
    specks = NOTHING.copy()
    specks[3, 3] = specks[3, 5] = specks[13, 13] = True  # three of one pixel, two of which a call touches
    rows = [
        segmentation_row(square(2, 2), square(2, 2), UNKNOWN, specks),
        segmentation_row(NOTHING, square(2, 2), UNKNOWN, square(12, 2, 1)),
        segmentation_row(square(2, 2), square(2, 2), UNKNOWN),
    ]
    assert [(row["specks"], row["specks_found"]) for row in rows] == [(3, 2), (1, 0), (0, 0)]
    table = pd.DataFrame(rows).assign(split="test", patient_id=["a", "b", "c"], label=1)
    number = numbers_of(table)["speck_recall"]
    assert (number["value"], number["n"]) == (0.5, 4)
    assert number["low"] == 0.0
    assert number["high"] == pytest.approx(2 / 3)
    assert "patients" in number["how"]
    without = numbers_of(table.assign(specks=0.0, specks_found=0.0))["speck_recall"]
    assert (without["value"], without["why"]) == (None, "no finding with a place is of kind speck")


def test_the_numbers_of_the_curve_stand_beside_the_others() -> None:
    """Two patients: a cluster found from 0.6 down without a false one, and a cluster found from 0.2 down with one."""
    rows = []
    for cut, false in ((0.6, 0.0), (0.2, 0.2)):
        probability = np.where(square(2, 2), cut, np.where(square(12, 12), false, 0.0)).astype(np.float32)
        rows.append(segmentation_row(probability >= 0.5, square(2, 2), UNKNOWN) | froc_row(count_clusters(
            probability, square(2, 2)
        )))  # fmt: skip
    table = pd.DataFrame(rows).assign(split="test", patient_id=["a", "b"], label=1)
    numbers = numbers_of(table)
    assert numbers["cluster_sensitivity"]["value"] == 0.5
    assert numbers["sensitivity_at_0.25_false_clusters"]["value"] == 0.5
    assert numbers["sensitivity_at_0.5_false_clusters"]["value"] == 1.0
    assert title_of("sensitivity_at_0.5_false_clusters") == "Sensitivity by cluster at 0.5 false clusters an image"
