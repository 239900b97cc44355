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
from mammo_tf.training import Computation
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
from mammo_tf.training import Computation, Segmentation, Stage, fit_stage, make_strategy, replicas
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
                material = test_fit.make_material(records, batch_size=size)
                fit_stage(model, stage, material, out, strategy, Computation(precision))
            assert caught.value.code == code
    model, history = fit_stage(model, stage, test_fit.make_material(records, batch_size=6), out, strategy)
    curves = [[row[key] for row in history] for key in ("loss", "val_loss", "val_auc")]
    statistics = [model.get_layer("batch_normalization_2").moving_variance.numpy().tolist()]
    pixels, branches = [], []
    by_pixel = Stage("pixels", ("all",), 1e-2, 2, optimizer="sgd", monitor="val_dice")
    if {optimizer!r} == "adam":
        material = test_segmentation.make_material(records, Segmentation(loss="dice_and_cross_entropy"), batch_size=6)
        with strategy.scope():
            model = test_segmentation.make_model()
        _, history = fit_stage(model, by_pixel, material, out + "pixels", strategy)
        pixels = [[row[key] for row in history] for key in ("loss", "val_loss", "val_dice")]
        for of in ("epoch", "last_batch"):
            material = test_branches.make_material(records, Segmentation(loss="dice_and_cross_entropy"), batch_size=6)
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
    gradient descent) are compared under Dice, a ratio of sums over the whole batch, and cross entropy. In the second
    epoch of pixels one device differs from itself by 1e-5 where oneDNN is off, and from two by 3e-5 on some processors.
    """
    here, folder = Path(__file__), tmp_path / "devices"
    code = CODE.format(
        tests=str(here.parent), root=str(here.parents[2]), records=str(records.folder), folder=str(folder),
        optimizer=optimizer,
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    one, two = json.loads(folder.with_suffix(".json").read_text())
    np.testing.assert_allclose(one[0][0], two[0][0], rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(one[2], two[2], strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)
    if optimizer == "sgd":
        np.testing.assert_allclose(one[0], two[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one[1], two[1], rtol=1e-4)
    else:
        assert len(one[3]) == 10
        assert one[3][2] != one[3][7], "statistics of an epoch are not those of its last batch"
        for ours, theirs in zip(one[3], two[3], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


NETWORKS = """
import json, sys
sys.path[:0] = [{tests!r}, {root!r}]
import tensorflow as tf
if {devices} > 1:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * {devices})
import keras, numpy as np, test_branches, test_fit, test_segmentation
from mammo_tf.models import End2End, SwinUnet, named_layers, resnet_patch, spottune
from mammo_tf.records import open_records
from mammo_tf.training import Segmentation, Stage, fit_stage, make_strategy, replicas
strategy, records = make_strategy(), open_records({records!r})
assert replicas(strategy) == {devices}
swin = SwinUnet(embed_dim=12, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1), window=1, branches=3, drop_path=0.3)
builders = {{
    "end2end": lambda: End2End(width=1 / 16, dropout=0.0).build((128, 128, 3)),
    "resnet": lambda: resnet_patch((128, 128, 3), (2, 1), 8),
    "spottune": lambda: spottune(resnet_patch((128, 128, 3), (1,), 8)),
    "segmentation": test_segmentation.make_model,
    "mln_net": lambda: swin.build((32, 32, 3)),
}}
pixels = Segmentation(loss="dice_and_cross_entropy")
found = {{}}
for name, build in builders.items():
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = build()
    material = {{
        "segmentation": lambda: test_segmentation.make_material(records, pixels, batch_size=8),
        "mln_net": lambda: test_branches.make_material(records, pixels, batch_size=8),
    }}.get(name, lambda: test_fit.make_material(records, batch_size=8))()
    stage = Stage(name, ("all",), 1e-4, 1, optimizer="sgd", monitor="val_loss", stop_patience=0, rate_patience=0)
    before = [one.numpy() for one in model.trainable_variables]
    model, history = fit_stage(model, stage, material, {folder!r} + name, strategy)
    kept = [path for path, layer in named_layers(model) if layer.weights and "Frozen" in type(layer).__name__]
    after = [one.numpy() for one in model.trainable_variables]
    moved = max(np.abs(one - two).max() for one, two in zip(before, after, strict=True))
    found[name] = [history[0]["loss"], history[0]["val_loss"], float(moved), [one.tolist() for one in after], kept]
json.dump(found, open({out!r}, "w"))
"""


# Flat grey makes ties at ReLU and maxima, which rounding breaks one way or the other; weights move by 1.4e-3 here.
WITHIN = {"end2end, 4 devices": 3e-5}


@pytest.mark.long
def test_every_network_trains_on_two_and_four_devices_as_on_one(records: Records, tmp_path: Path) -> None:
    """Losses, and weights that are trained, after an epoch: 28 images in batches of 8, the last one filled.

    SpotTune's decisions and MLN-net's left out blocks are drawn, Dice is a ratio of sums over the batch, and of batches
    of 2 on a device some lack a branch. What rounding does grows with each step of such little, fresh networks.
    """
    found = {}
    for devices in (1, 2, 4):
        out = tmp_path / f"{devices}.json"
        code = NETWORKS.format(
            tests=str(Path(__file__).parent), root=str(Path(__file__).parents[2]), records=str(records.folder),
            devices=devices, folder=str(tmp_path / f"{devices}_"), out=str(out),
        )  # fmt: skip
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        found[devices] = json.loads(out.read_text())
    assert len(found[1]["spottune"][4]) == 4, "kept convolutions and normalisations"
    for devices in (2, 4):
        for name, (loss, validation, moved, weights, _) in found[devices].items():
            alone, where = found[1][name], f"{name}, {devices} devices"
            np.testing.assert_allclose(loss, alone[0], rtol=5e-5, err_msg=where)
            np.testing.assert_allclose(validation, alone[1], rtol=1e-4, err_msg=where)
            assert moved > 1e-4, f"{where}: too little to tell"
            for one, other in zip(weights, alone[3], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=WITHIN.get(where, 1e-5), err_msg=where)


@pytest.mark.parametrize(("size", "devices", "nearest"), [(16, 3, "15 or 18"), (10, 8, "8 or 16"), (3, 4, "4")])
def test_batches_that_cannot_be_shared_out_are_told(size: int, devices: int, nearest: str) -> None:
    with pytest.raises(MammoError, match=f"{size} images .* {devices} devices") as caught:
        check_shared(size, Computation(), devices)
    assert caught.value.remedy == f"Take batches of {nearest}"
    check_shared(size, Computation("mixed_float16"), 1)
    check_shared(devices * 2, Computation("mixed_bfloat16"), devices)


RESUMED = """
import json, sys
sys.path[:0] = [{tests!r}, {root!r}]
from mammo_tf.training import fit_stage, make_strategy, replicas
strategy = make_strategy()
assert replicas(strategy) == {devices}
import pytest, test_fit
from mammo_tf.data import Augmentation
from mammo_tf.records import open_records
stage = test_fit._stage(epochs=3, rate=1e-3, trainable=("all",), optimizer="sgd", rate_patience=1, average=0.8)
with strategy.scope():
    model = test_fit.make_model()
material = test_fit.make_material(open_records({records!r}), Augmentation(), batch_size=4)
def told(history):
    if len(history) == {until}:
        json.dump([[row["loss"], row["val_loss"]] for row in history], open({out!r}, "w"))
        raise SystemExit
fit_stage(model, stage, material, {folder!r}, strategy, on_epoch=told)
"""


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_devices(records: Records, tmp_path: Path) -> None:
    def epochs(folder: str, devices: int, until: int) -> list[list[float]]:
        out = tmp_path / f"{folder}.json"
        code = RESUMED.format(
            tests=str(Path(__file__).parent), root=str(Path(__file__).parents[2]), records=str(records.folder),
            devices=devices, until=until, folder=str(tmp_path / folder), out=str(out),
        )  # fmt: skip
        asked = {"TF_CPP_MIN_LOG_LEVEL": "3", "MAMMO_TF_DEVICES": str(devices)}
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **asked})
        return json.loads(out.read_text())

    for until, devices in ((1, 2), (2, 4), (3, 1)):
        found = epochs("changing", devices, until)
    np.testing.assert_allclose(found, epochs("alone", 1, 3), rtol=1e-4)


def test_the_number_of_devices_is_asked_for() -> None:
    code = """
from mammo_tf.errors import MammoError
from mammo_tf.training import make_strategy, replicas
from mammo_tf.training.devices import _devices
assert replicas(make_strategy()) == 2
for wanted, code in ((3, "devices_late"), (1, "")):
    try:
        assert len(_devices(wanted)) == 1
    except MammoError as error:
        assert error.code == code, error
"""
    asked = {"TF_CPP_MIN_LOG_LEVEL": "3", "MAMMO_TF_DEVICES": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **asked})
