"""The demonstration in small, and histogram matching alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.experiments import demo as module
from mammo_tf.experiments.demo import PAIRS, TABLES, demo, verdict
from mammo_tf.experiments.demo_recipes import (
    ADAPTED,
    HARMONISED,
    LONG,
    SHORT,
    DemoSize,
    adaptation_recipe,
    source_recipe,
)
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.domain_statistics import drawn, matching_step, with_matching
from mammo_tf.study import check_leakage, read_manifest

TINY = DemoSize(
    source=6, source_validation=4, target=5, target_validation=4, test=6,
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
    (chosen,) = (tmp_path / "demo" / "saved_models").iterdir()
    assert (chosen / "1" / "saved_model.pb").is_file()
    assert any(f"chosen is {chosen.name.replace('_', ' ')}: " in line for line in lines)
    values = [
        read_json(tmp_path / "demo" / name / "metrics.json")["validation"]["breast"]["auc"]["value"]
        for name in (HARMONISED, ADAPTED)
    ]
    assert chosen.name == HARMONISED or values[1] > values[0]
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
    assert adaptation_recipe(SHORT, Path("harmonising.json")).stages[0].trainable == ("block_1", "block_2", "output")
    assert source_recipe(SHORT).from_nothing


def test_the_demos_patients_stand_in_one_part_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over both sites: who is trained on at one is neither validated nor tested on at the other."""
    monkeypatch.setattr(module, "SPACING_MM", 1.5)
    little = replace(TINY, source=2, source_validation=1, target=2, target_validation=1, test=2)
    study = module._study(tmp_path, little, 1, 1)
    assert study.groupby("patient_id")["split"].nunique().max() == 1
    seen = {key: set(rows["patient_id"]) for key, rows in study.groupby(["site", "split"])}
    counts = {key: len(patients) for key, patients in seen.items()}
    one, other = module.SOURCE, module.TARGET
    assert counts == {
        (one, "train"): 2, (one, "validation"): 1, (one, "test"): 2,
        (other, "train"): 2, (other, "validation"): 1, (other, "test"): 2,
    }  # fmt: skip
    assert seen[one, "test"] == seen[other, "test"]
    assert not (seen[one, "train"] | seen[one, "validation"]) & (seen[other, "train"] | seen[other, "validation"])
    assert len(set().union(*seen.values())) == 8
    check_leakage(study)


@pytest.fixture(scope="module")
def dark(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """The films of another machine: every grey level x of [0, 1] is x^2 / 2 there; patients of three labels."""
    folder = tmp_path_factory.mktemp("dark")
    table = read_manifest(films)
    for number, path in enumerate(table["path"]):
        picture = cv2.imread(str(films.parent / path), cv2.IMREAD_UNCHANGED) / 65535
        cv2.imwrite(str(folder / path), np.rint(picture**2 / 2 * 65535).astype(np.uint16))
        if table["label"][number] == "normal" and number % 3 == 0:
            table.loc[number, "label"] = "benign"
    preprocessing = Preprocessing.preset("legacy", (128, 128))
    prepare(table, folder, folder / "prepared", preprocessing)
    return open_records(folder / "prepared")


def test_matching_carries_the_target_to_the_source_and_not_the_other_way(records: Records, dark: Records) -> None:
    step = matching_step(dark, records)
    steps = Preprocessing((), (step, Channels(1)))
    for position in records.positions("test")[:4].tolist():
        bright, target = (one.picture(position) / np.float32(65535) for one in (records, dark))
        matched = steps.intensity(target)[..., 0]
        inside = bright > 0.02
        assert np.abs(target[inside] - bright[inside]).mean() > 0.15, "the domains do differ"
        assert np.abs(matched[inside] - bright[inside]).mean() < 0.01
        backwards = Preprocessing((), (matching_step(records, dark), Channels(1))).intensity(target)[..., 0]
        assert np.abs(backwards[inside] - bright[inside]).mean() > 0.2


def test_histograms_are_drawn_in_equal_parts_of_the_labels(records: Records, dark: Records) -> None:
    for images, parts in ((200, None), (9, 3), (2, 1)):
        positions = drawn(dark, images)
        counts = dark.rows["label"].iloc[positions].value_counts()
        assert set(counts.index) == {"normal", "benign", "malignant"}
        assert counts.nunique() == 1
        assert parts is None or counts.iloc[0] == parts
        assert len(set(positions.tolist())) == len(positions)
        assert (dark.rows["split"].iloc[positions] == "train").all()
    rarest = dark.rows.iloc[dark.positions("train")]["label"].value_counts().min()
    assert len(drawn(dark, 200)) == 3 * rarest
    assert drawn(dark, 9, seed=1).tolist() != drawn(dark, 9).tolist()
    told: list[str] = []
    matching_step(dark, records, 9, say=told.append)
    assert told == [
        "histograms of the target: 9 training images (3 benign, 3 malignant, 3 normal)",
        "histograms of the source: 8 training images (4 malignant, 4 normal)",
    ]
    nobody = replace(records, rows=records.rows.assign(label=""))
    with pytest.raises(MammoError, match="no training picture with a label"):
        drawn(nobody, 9)


def test_matching_a_domain_to_itself_changes_little(records: Records) -> None:
    step = matching_step(records, records)
    stored = records.picture(int(records.positions("train")[0]))
    used = np.unique(np.rint(stored / 65535 * 4095).astype(int))
    assert np.abs(np.asarray(step.table)[used] - used).max() < 1
    steps, picture = with_matching(records.preprocessing, step), stored / np.float32(65535)
    one_level = 255 / 4095
    np.testing.assert_allclose(steps.intensity(picture), records.preprocessing.intensity(picture), atol=one_level)


@pytest.mark.parametrize(
    ("harmonised", "gain", "claim"),
    [
        ((0.86, 0.79, 0.92), (0.27, 0.17, 0.37), "Without a single label the model is shown to do better at the new"),
        ((0.70, 0.61, 0.79), (0.05, -0.01, 0.11), "Harmonising is not shown to help the model at the new site: "),
        ((0.70, 0.61, 0.79), (-0.08, -0.12, -0.01), "Harmonising is shown to make the model worse at the new site: "),
        ((0.70, None, None), (None, None, None), "Harmonising is not shown to help the model at the new site: "),
    ],
)  # fmt: skip
def test_the_first_sentence_says_what_is_shown_and_no_more(harmonised: tuple, gain: tuple, claim: str) -> None:
    def number(value: float | None, low: float | None, high: float | None) -> dict:
        return {"value": value, "low": low, "high": high, "n": 160}

    said = verdict(number(0.885, 0.81, 0.94), number(0.591, 0.48, 0.7), number(*harmonised), number(*gain))
    assert said.startswith(claim)
    assert "0.591 (0.480 to 0.700) untouched, and 0.885 (0.810 to 0.940) at home." in said
    assert said.count(". ") == 0, "one sentence"
