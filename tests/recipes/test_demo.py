"""The demonstration in small, and histogram matching alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.files import read_json
from mammo_tf.recipes.demo import LONG, PAIRS, SHORT, TABLES, DemoSize, adaptation_recipe, demo, source_recipe
from mammo_tf.recipes.matching import matching_step, with_matching
from mammo_tf.records import Records

TINY = DemoSize(
    source=6, source_validation=4, target=4, target_validation=4, test=6,
    patch=1, head=1, whole=1, adapt_head=1, adapt_all=1,
)  # fmt: skip


@pytest.mark.long
def test_the_whole_demonstration(tmp_path: Path) -> None:
    lines: list[str] = []
    report = demo(tmp_path / "demo", TINY, workers=1, say=lines.append)
    assert report.is_file()
    assert lines[-1] == f"Open {report}"
    for place in TABLES.values():
        table = read_predictions(tmp_path / "demo" / place / "predictions_test.csv")
        assert table["patient_id"].nunique() == TINY.test
        shown = read_json(tmp_path / "demo" / place / "metrics.json")["test"]["breast"]["auc"]["value"]
        assert any(f"{shown:.3f}" in line for line in lines)
    assert len(list((tmp_path / "demo" / "comparisons").iterdir())) == len(PAIRS)
    assert (tmp_path / "demo" / "saved_models" / "site_2_adapted" / "1" / "saved_model.pb").is_file()
    assert len(read_predictions_of_an_exam(tmp_path / "demo")) == 4
    text = report.read_text(encoding="utf-8")
    for word in (*TABLES, *(name for name, _, _ in PAIRS), "synthetic"):
        assert word in text
    again = []
    demo(tmp_path / "demo", TINY, workers=1, say=again.append)
    assert again[-12:] == lines[-12:]
    with pytest.raises(MammoError, match="a demo of another size"):
        demo(tmp_path / "demo", replace(TINY, test=8), workers=1)


def read_predictions_of_an_exam(folder: Path) -> list[str]:
    return (folder / "exam.csv").read_text().strip().splitlines()[1:]


def test_no_patient_is_trained_on_and_tested() -> None:
    """Groups are disjoint by construction; sizes and epochs are those that the documents name."""
    assert SHORT.test >= 80
    assert LONG.test > SHORT.test
    assert adaptation_recipe(SHORT).stages[0].trainable == ("block_1", "block_2", "output")
    assert source_recipe(SHORT).patch is not None


def test_matching_a_domain_to_itself_changes_little(records: Records) -> None:
    step = matching_step(records, records)
    stored = records.picture(int(records.positions("train")[0]))
    used = np.unique(np.rint(stored / 65535 * 4095).astype(int))
    assert np.abs(np.asarray(step.table)[used] - used).max() < 1
    steps, picture = with_matching(records.preprocessing, step), stored / np.float32(65535)
    one_level = 255 / 4095
    np.testing.assert_allclose(steps.intensity(picture), records.preprocessing.intensity(picture), atol=one_level)
