"""The whole road from the command line, as a user walks it: DICOM in, an adapted, compared, exported model out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mammo_tf.cli.main import main
from mammo_tf.evaluation import auc
from mammo_tf.files import read_json
from mammo_tf.records import open_records
from mammo_tf.study import read_manifest

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

PIPELINES = Path(__file__).parents[2] / "pipelines"


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that must succeed prints."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_from_a_phantom_study_to_a_served_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, prepared = tmp_path / "study", tmp_path / "prepared"
    manifest = study / "manifest.csv"
    phantom = ("phantom", study, "--patients", 8, "--conspicuous", "--spacing", 1.2, "--workers", 1, "--seed", 3)
    assert "32 images of 8 patients" in said(capsys, *phantom)

    said(capsys, "split", manifest, "--fractions", "50,25,25", "--stratify", "label")
    table = read_manifest(manifest)
    assert table.groupby("split")["patient_id"].nunique().to_dict() == {"train": 4, "validation": 2, "test": 2}
    assert table.groupby("patient_id")["split"].nunique().max() == 1
    counts = said(capsys, "inspect", manifest, "--sheet", tmp_path / "study.png")
    assert "32 images, 8 patients" in counts
    assert Image.open(tmp_path / "study.png").width > 500

    assert "32 images of 128x128" in said(capsys, "prepare", manifest, "-o", prepared, "--size", "128x128")
    assert open_records(prepared).rows["image_id"].tolist() == table["image_id"].tolist()

    _run_and_check(tmp_path, capsys)
    bundle = Path(said(capsys, "export", tmp_path / "adapted", "--root", tmp_path / "saved_models").strip())
    assert bundle == tmp_path / "saved_models" / "adapted" / "1"

    predicted = said(capsys, "predict", bundle.parent, manifest, "-o", tmp_path / "after.csv", "--sheet",
                     tmp_path / "after.png")  # fmt: skip
    assert predicted.startswith(f"32 images in {tmp_path / 'after.csv'}, 0 files in")
    assert Image.open(tmp_path / "after.png").width > 500
    after = pd.read_csv(tmp_path / "after.csv").set_index("image_id")["score"]
    scored_by_run = pd.read_csv(tmp_path / "adapted" / "predictions_test.csv").set_index("image_id")["score"]
    assert np.abs(after[scored_by_run.index] - scored_by_run).max() < 1e-5  # DICOM to SavedModel, records to Keras

    said(capsys, "predict", tmp_path / "baseline", manifest, "-o", tmp_path / "before.csv", "--batch-size", 5)
    compared = tmp_path / "compared"
    files = (tmp_path / "before.csv", tmp_path / "after.csv")
    first, second = (pd.read_csv(path).query("split == 'train'") for path in files)
    for table, path in zip((first, second), files, strict=True):
        table.to_csv(path, index=False)  # one split is enough to look at
    said(capsys, "evaluate", *files, "--replicates", 50, "-o", compared)
    difference = read_json(compared / "comparison.json")["train"]["image"]["auc_difference"]["value"]
    expected = auc(second["label"], second["score"]) - auc(first["label"], first["score"])
    assert difference == pytest.approx(expected)
    assert read_json(compared / "metrics.json")["train"]["image"]["auc"]["n"] == 16


def _run_and_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model from nothing, and its adaptation in two stages, on the prepared records."""
    few = ("--smoke", "--set", "evaluation.replicates=20")
    data = ("--data", folder / "prepared")
    cropped = ("--set", "preparation.preset=default")  # as the records are, not as the journal has it
    short = ("--set", f"network.backbone={STUMP}", "--set", f"phases.0.network.backbone={STUMP}")
    baseline = (PIPELINES / "end2end_baseline.py", *few, *cropped, *short)
    told = said(capsys, "run", *baseline, *data, "-o", folder / "baseline")
    assert "train 16 (" in told
    start = ("--start", folder / "baseline", "-o", folder / "adapted")
    adaptation = ("run", PIPELINES / "end2end_finetune_config2.py", *few, *data, *start)
    told = said(capsys, *adaptation)
    assert "stage stage_2: 1 epochs" in told
    assert "this model minus the start model:" in told
    log = pd.read_csv(folder / "adapted" / "log.csv")
    assert log["stage"].tolist() == ["stage_1", "stage_2"]
    assert set(read_json(folder / "adapted" / "comparison.json")) == {"validation", "test", "aggregates"}
    report = folder / "adapted" / "report.html"
    page = report.read_text(encoding="utf-8")
    assert told.endswith(f"report: {report}\n")
    number = read_json(folder / "adapted" / "metrics.json")["test"]["image"]["auc"]["value"]
    assert f"{number:.3f}" in page
    assert said(capsys, "report", folder / "adapted").strip() == str(report)
    assert report.read_text(encoding="utf-8") == page
    assert said(capsys, *adaptation) == told  # a finished run is read, not run again
