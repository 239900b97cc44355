"""Two devices give what one gives, for both tasks; two logical CPU devices stand for two GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.records import Records
from mammo_tf.training.devices import check_shared

CODE = """
import dataclasses, json, sys
sys.path[:0] = [{tests!r}, {root!r}]
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import pytest, test_branches, test_fit, test_segmentation
from mammo_tf.errors import MammoError
from mammo_tf.records import open_records
from mammo_tf.training import Segmentation, Stage, fit_stage, make_strategy, replicas
records, found = open_records({records!r}), []
stage = test_fit._stage(
    epochs=3, rate=1e-3, trainable=("all",), weight_decay=1e-3, rate_patience=1, optimizer={optimizer!r},
    average=0.8 if {optimizer!r} == "sgd" else None)
for count, strategy in ((1, tf.distribute.get_strategy()), (2, make_strategy())):
    assert replicas(strategy) == count, replicas(strategy)
    out = {folder!r} + str(count)
    with strategy.scope():
        model = test_fit.make_model()
    if count > 1:
        for size, precision, code in ((5, "float32", "batch_undivided"), (6, "mixed_float16", "precision_unsafe")):
            with pytest.raises(MammoError) as caught:
                fit_stage(model, stage, test_fit.make_material(records, batch_size=size), out, strategy, precision)
            assert caught.value.code == code
    model, history = fit_stage(model, stage, test_fit.make_material(records, batch_size=6), out, strategy)
    curves = [[row[key] for row in history] for key in ("loss", "val_loss", "val_auc")]
    statistics = [model.get_layer("batch_normalization_2").moving_variance.numpy().tolist()]
    pixels, branches = [], []
    by_pixel = Stage("pixels", ("all",), 1e-2, 2, optimizer="sgd", monitor="val_dice")
    if {optimizer!r} == "adam":
        material = test_segmentation.make_material(records, Segmentation(loss="cross_entropy"), batch_size=6)
        with strategy.scope():
            model = test_segmentation.make_model()
        _, history = fit_stage(model, by_pixel, material, out + "pixels", strategy)
        pixels = [[row[key] for row in history] for key in ("loss", "val_loss", "val_dice")]
        for of in ("epoch", "last_batch"):
            material = test_branches.make_material(records, Segmentation(loss="cross_entropy"), batch_size=6)
            with strategy.scope():
                model = test_branches.make_model()
            asked = dataclasses.replace(by_pixel, statistics=of)
            model, history = fit_stage(model, asked, material, out + of, strategy)
            norm, picture = model.get_layer("norm"), model.get_layer("picture")
            branches += [[row[key] for row in history] for key in ("loss", "val_loss")]
            branches += [values.numpy().tolist() for values in (norm.statistics(), picture.statistics(), norm.gamma)]
    found.append([curves, statistics, pixels, branches])
json.dump(found, open({folder!r} + ".json", "w"))
"""


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adam", marks=pytest.mark.long)])
def test_two_devices_give_the_losses_of_one(optimizer: str, records: Records, tmp_path: Path) -> None:
    """Synchronised batch statistics included, under plain descent averaged weights too; 28 images in batches of 6.

    Under Adam only the training loss is compared: a bias in front of a batch normalisation has a gradient of zero but
    for rounding, which Adam divides by its own size, and the moving mean follows with a delay; so validation differs in
    the fourth digit between any two ways of adding the same numbers. Pixels and branches (beside Adam, themselves by
    gradient descent) are compared under cross entropy, which adds up over pictures; Dice is a ratio of sums, taken on
    each device's share.
    """
    here, folder = Path(__file__), tmp_path / "devices"
    code = CODE.format(
        tests=str(here.parent), root=str(here.parents[2]), records=str(records.folder), folder=str(folder),
        optimizer=optimizer,
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    one, two = json.loads(folder.with_suffix(".json").read_text())
    np.testing.assert_allclose(one[0][0], two[0][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one[2], two[2], atol=1e-5)
    if optimizer == "sgd":
        np.testing.assert_allclose(one[0], two[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one[1], two[1], rtol=1e-4)
    else:
        assert len(one[3]) == 10
        assert one[3][2] != one[3][7], "statistics of an epoch are not those of its last batch"
        for ours, theirs in zip(one[3], two[3], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


SPOTTUNE = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np, test_fit
from mammo_tf.models import named_layers, resnet_patch, spottune
from mammo_tf.records import open_records
from mammo_tf.training import Stage, fit_stage, make_strategy
stage = Stage("one", ("all",), 1e-3, 2, weight_decay=1e-4, decay="coupled", stop_patience=0)
strategy, records = make_strategy(), open_records({records!r})
with strategy.scope():
    keras.utils.set_random_seed(0)
    before = spottune(resnet_patch((128, 128, 3), (1,), 2))
after, history = fit_stage(before, stage, test_fit.make_material(records, batch_size=8), {folder!r}, strategy)
assert len(history) == 2 and all(np.isfinite(row["val_loss"]) for row in history)
changed = {{
    path for (path, one), (_, two) in zip(named_layers(before), named_layers(after), strict=True)
    if not isinstance(one, keras.Model) and any(map(lambda a, b: (a != b).any(), one.get_weights(), two.get_weights()))
}}
kept = {{path for path, layer in named_layers(before) if layer.weights and "Frozen" in type(layer).__name__}}
assert len(kept) == 4 and not kept & changed, changed
assert {{"block_1_frozen/block_1_conv_2_norm", "block_1_tuned/block_1_conv_2", "policy_network/output"}} <= changed
after.save({folder!r} + ".keras")
pictures = np.zeros((3, 128, 128, 3), np.float32)
loaded = keras.saving.load_model({folder!r} + ".keras")
np.testing.assert_allclose(loaded.predict(pictures, verbose=0), after.predict(pictures, verbose=0), atol=1e-6)
"""


@pytest.mark.long
def test_spottune_is_trained_by_two_devices(records: Records, tmp_path: Path) -> None:
    here = Path(__file__)
    code = SPOTTUNE.format(
        tests=str(here.parent),
        root=str(here.parents[2]),
        records=str(records.folder),
        folder=str(tmp_path / "spottune"),
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})


@pytest.mark.parametrize(("size", "devices", "nearest"), [(16, 3, "15 or 18"), (10, 8, "8 or 16"), (3, 4, "4")])
def test_batches_that_cannot_be_shared_out_are_told(size: int, devices: int, nearest: str) -> None:
    with pytest.raises(MammoError, match=f"{size} images .* {devices} devices") as caught:
        check_shared(size, "float32", devices)
    assert caught.value.remedy == f"Take batches of {nearest}"
    check_shared(size, "mixed_float16", 1)
    check_shared(devices * 2, "mixed_bfloat16", devices)
