"""From a file of Keras 2 with tensorflow-addons to a run of its recipe, and to a bundle that answers as it did."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.models import description_of
from mammo_tf.records import Records
from mammo_tf.training import load_model


@pytest.mark.long
def test_an_imported_model_is_trained_on_by_its_recipe(
    golden: Path, records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, page, out = (tmp_path / name for name in ("start.keras", "page.py", "run"))
    command = ["import-legacy", str(golden / "addons" / "both.h5"), "-o", str(start)]
    assert main([*command, "--recipe", str(page), "--mean", "52.18"]) == 0
    few = ("--set", "stages.imported.epochs=3", "--set", "stages.imported.stop_patience=0")
    short = (*few, "--set", "evaluation.replicates=20", "--set", "training.batch_size=8")
    arguments = ["run", str(page), "--data", str(records.folder), "--start", str(start), "-o", str(out), *short]
    assert main(arguments) == 0
    before, after = (load_model(path) for path in (start, out / "model.keras"))
    assert description_of(after.model) == description_of(before.model)
    lengths = [model.model.get_layer("conv2d_1").length for model in (before, after)]
    assert np.abs(np.array(lengths[1]) - np.array(lengths[0])).max() > 0
    rates = [float(row["rate"]) for row in csv.DictReader((out / "log.csv").open())]
    assert len(rates) == 3
    assert len(set(rates)) == 3  # of the cycles
    assert "val_f1" in (out / "log.csv").read_text().splitlines()[0]

    weights = (out / "model.keras").read_bytes()
    assert main(arguments) == 0
    assert (out / "model.keras").read_bytes() == weights
    assert main(["export", str(out), "--name", "imported", "--root", str(tmp_path / "models")]) == 0
    said = capsys.readouterr()
    assert "ONNX Runtime agree with Keras" in said.out + said.err
