"""From a start model to its adaptation by SpotTune, to a bundle, and to scores of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.models import SpotTune, description_of, named_layers, with_test_policy
from mammo_tf.records import Records
from mammo_tf.training import load_model, save_model

RECIPE = """
from mammo_tf.data import NO_AUGMENTATION
from mammo_tf.models import ResNetPatch, SpotTune
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage

SHARED = dict(
    preparation=Preparation(preset="legacy", channels=1), evaluation=Evaluation(replicates=20),
    training=Training(batch_size=8, augmentation=NO_AUGMENTATION),
)


def base():
    stage = Stage("base", ("all",), 1e-2, 1, optimizer="sgd")
    return Recipe("base", "a start", network=ResNetPatch((1,), 2), phases=(Phase((stage,)),), **SHARED)


def recipe():
    stage = Stage("spottune", ("all",), 1e-2, 2, weight_decay=1e-4, decay="coupled", optimizer="sgd", stop_patience=0)
    return Recipe(
        "spottune", "adapted", network=SpotTune(ResNetPatch()), phases=(Phase((stage,)),), needs_start=True, **SHARED
    )
"""


@pytest.mark.long
def test_a_start_model_is_adapted_exported_and_asked(
    records: Records, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    start, out, data = tmp_path / "base", tmp_path / "spottune", str(records.folder)
    assert main(["run", str(tmp_path / "recipe.py"), "--variant", "base", "--data", data, "-o", str(start)]) == 0
    arguments = ["run", str(tmp_path / "recipe.py"), "--data", data, "--start", str(start), "-o", str(out)]
    assert main(arguments) == 0
    before, after = (load_model(folder / "model.keras") for folder in (start, out))
    assert description_of(after.model) == SpotTune(description_of(before.model))
    layer, source = dict(named_layers(after.model)), dict(named_layers(before.model))
    kernel = source["block_1_conv_2"].kernel
    np.testing.assert_array_equal(layer["block_1_frozen/block_1_conv_2"].kernel, kernel)
    assert not np.array_equal(layer["block_1_tuned/block_1_conv_2"].kernel, kernel)
    assert json.loads((out / "comparison.json").read_text())
    assert "spottune: network (resnet_patch: blocks 1, width 2" in (out / "report.html").read_text()

    weights = (out / "model.keras").read_bytes()
    assert main(arguments) == 0  # finished: nothing is done again
    assert (out / "model.keras").read_bytes() == weights

    bundle = tmp_path / "saved"
    assert main(["export", str(out), "--root", str(bundle), "--name", "spot", "--saved-model-only"]) == 0
    table = tmp_path / "scores.csv"
    assert main(["predict", str(bundle / "spot" / "1"), str(films), "-o", str(table)]) == 0
    scores = pd.read_csv(table).set_index("image_id")["score"]
    measured = pd.read_csv(out / "predictions_test.csv").set_index("image_id")["score"]
    np.testing.assert_allclose(scores[measured.index], measured, atol=1e-4)

    drawn = tmp_path / "drawn.keras"
    save_model(drawn, with_test_policy(after.model, "drawn"), after.card)
    capsys.readouterr()
    assert main(["export", str(drawn), "--root", str(bundle), "--name", "drawn", "--saved-model-only"]) == 2
    told = capsys.readouterr().err.strip()
    assert told.count("\n") == 0
    assert "the layer policy of resnet_patch_spottune draws at inference" in told
    assert not (bundle / "drawn").exists()
