"""Which test pictures a report shows with outlines, in which words, and what it says of a damaged list."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.segmentations import segmentation_row
from mammo_tf.recipes.overlays import FINDINGS, LISTED, OTHERS, _chosen, _note, run_overlays

SPACING = (0.5, 0.5)


def row(called: slice | None, true: slice | None, spacing: tuple[float, ...] = SPACING) -> dict[str, float]:
    masks = np.zeros((2, 12, 12), np.bool_)
    for mask, part in zip(masks, (called, true), strict=True):
        if part is not None:
            mask[part, 2:8] = True
    return segmentation_row(masks[0], masks[1], spacing)


def test_shown_are_the_worst_the_best_and_the_loudest() -> None:
    with_finding = [{"image_id": f"f{place}", "tpr": 0.5, "dsc": place / 40, "score": 0.1} for place in range(40)]
    without = [{"image_id": f"o{place}", "tpr": np.nan, "dsc": 0.0, "score": 0.1} for place in range(9)]
    table = pd.DataFrame(with_finding + without).assign(false_clusters=[0] * 40 + list(range(9)))
    chosen = _chosen(table.sample(frac=1, random_state=0))["image_id"].tolist()
    assert (chosen[0], chosen[FINDINGS - 1]) == ("f0", "f39")
    assert len(set(chosen)) == FINDINGS + OTHERS
    assert chosen[FINDINGS:] == ["o8", "o7", "o6", "o5"]


@pytest.mark.parametrize("missing", ["findings", "others"])
def test_there_may_be_none_of_one_kind(missing: str) -> None:
    tpr = np.nan if missing == "findings" else 0.5
    table = pd.DataFrame([{"image_id": "a", "tpr": tpr, "dsc": 0.0, "score": 0.1, "false_clusters": 0}])
    assert _chosen(table)["image_id"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (row(None, None), "nothing to find, nothing called"),
        (row(slice(2, 4), None), "nothing to find, called, 3.0 mm²"),
        (row(slice(2, 4), None, (float("nan"),) * 2), "nothing to find, called"),
        (row(None, slice(2, 4)), "missed: nothing called"),
        (row(slice(2, 6), slice(4, 8)), "Dice 0.50, HD 1.0 mm"),
        (row(slice(2, 6), slice(4, 8), (float("nan"),) * 2), "Dice 0.50, spacing unknown"),
    ],
)
def test_words(measured: dict[str, float], words: str) -> None:
    assert _note(measured) == words


def test_a_list_that_no_run_wrote_is_told_in_a_line(tmp_path: Path) -> None:
    assert run_overlays(tmp_path) == ()
    (tmp_path / "figures").mkdir()
    for wrong in ([{"picture": "a.png"}], [1], {"a": 1}):
        (tmp_path / "figures" / LISTED).write_text(json.dumps(wrong))
        with pytest.raises(MammoError) as caught:
            run_overlays(tmp_path)
        assert caught.value.code == "run_damaged"
