"""How a step is computed changes its time and its memory, and no number beyond rounding."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mammo_tf.data import Augmentation
from mammo_tf.errors import MammoError
from mammo_tf.records import Records
from mammo_tf.training import Computation, Stage, cached_body, fit_stage, prepare_stage
from mammo_tf.training.devices import check_shared

sys.path.insert(0, str(Path(__file__).parent))
from test_fit import _interrupt, _StopError, make_material  # noqa: E402 - it lies beside this file


def make_model() -> keras.Model:
    """Without batch statistics, which are those of each batch, whatever an update is made of."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input((128, 128, 3), name="pictures")
    tensor = keras.layers.Conv2D(3, 8, 8, activation="relu")(keras.layers.Rescaling(1 / 64)(pictures))
    tensor = keras.layers.GlobalMaxPooling2D()(tensor)
    decay = keras.regularizers.L2(1e-3)
    return keras.Model(pictures, keras.layers.Dense(2, "softmax", kernel_regularizer=decay, name="output")(tensor))


def deep_model() -> keras.Model:
    """A body with batch normalisation, and a head with dropout."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input((128, 128, 3), name="pictures")
    tensor = keras.layers.Conv2D(3, 8, 8, activation="relu", name="first")(keras.layers.Rescaling(1 / 64)(pictures))
    tensor = keras.layers.BatchNormalization(name="norm")(tensor)
    branch = keras.layers.Conv2D(3, 1, name="beside")(tensor)
    tensor = keras.layers.Add(name="joined")([tensor, branch])
    tensor = keras.layers.Conv2D(4, 3, activation="relu", name="second")(tensor)
    tensor = keras.layers.Dropout(0.3, name="drop")(keras.layers.GlobalMaxPooling2D(name="pooled")(tensor))
    decay = keras.regularizers.L2(1e-3)
    return keras.Model(pictures, keras.layers.Dense(2, "softmax", kernel_regularizer=decay, name="output")(tensor))


def trained(
    records: Records, folder: Path, batch_size: int, computation: Computation, **settings: Any
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    stage = Stage(**{"name": "one", "trainable": ("all",), "rate": 1e-2, "epochs": 3, "rate_patience": 0, **settings})
    material = make_material(records, batch_size=batch_size)
    model, history = fit_stage(make_model(), stage, material, folder, computation=computation)
    return model.get_weights(), history


@pytest.mark.parametrize("settings", [
    {"optimizer": "sgd", "weight_decay": 1e-3}, pytest.param({"optimizer": "lamb"}, marks=pytest.mark.long),
    pytest.param({"optimizer": "adam", "decay": "decoupled", "weight_decay": 1e-3}, marks=pytest.mark.long),
    {"optimizer": "nadam", "decay": "coupled", "weight_decay": 1e-3, "clip_norm": 0.1},
], ids=lambda settings: settings["optimizer"])  # fmt: skip
def test_batches_that_make_one_update_make_that_of_the_large_batch(
    settings: dict[str, Any], records: Records, tmp_path: Path
) -> None:
    images = len(make_material(records).training)
    assert images % 14 == 0
    large, curve = trained(records, tmp_path / "large", 14, Computation(), **settings)
    parts, other = trained(records, tmp_path / "parts", 7, Computation(accumulate=2), **settings)
    for one, two in zip(large, parts, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert [row["val_loss"] for row in curve] == pytest.approx([row["val_loss"] for row in other], abs=1e-5)
    start = make_model().get_weights()
    assert max(float(np.abs(one - two).max()) for one, two in zip(large, start, strict=True)) > 1e-3


def test_an_update_that_an_epoch_does_not_fill_goes_on_in_the_next_also_after_a_pause(
    records: Records, tmp_path: Path
) -> None:
    computation, material = Computation(accumulate=3), make_material(records, batch_size=7)
    stage = Stage("one", ("all",), 1e-2, 3, rate_patience=0)
    assert len(material.training) // 7 % 3, "an epoch would fill it"
    whole, _ = fit_stage(make_model(), stage, material, tmp_path / "whole", computation=computation)
    with pytest.raises(_StopError):
        fit_stage(make_model(), stage, material, tmp_path / "paused", computation=computation, on_epoch=_interrupt(1))
    paused, _ = fit_stage(make_model(), stage, material, tmp_path / "paused", computation=computation)
    for one, two in zip(whole.get_weights(), paused.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_xla_gives_the_same_weights(records: Records, tmp_path: Path) -> None:
    plain, _ = trained(records, tmp_path / "plain", 14, Computation(), epochs=2)
    compiled, _ = trained(records, tmp_path / "xla", 14, Computation(xla=True), epochs=2)
    for one, two in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize(("computation", "devices", "averaged", "code", "sentence"), [
    (Computation(accumulate=2), 2, False, "accumulation_unsafe", "cannot be added up on 2 devices"),
    (Computation(accumulate=2), 1, True, "accumulation_unsafe", "averages the weights at every batch"),
    (Computation("mixed_float16", 2), 1, False, "accumulation_unsafe", "an overflow of one batch"),
    (Computation(xla=True), 2, False, "xla_unsafe", "compiles no step of 2 devices"),
    (Computation(cache_features=True), 2, False, "cache_unsafe", "not shared out to 2 devices"),
])  # fmt: skip
def test_what_keras_does_not_do_is_refused(
    computation: Computation, devices: int, averaged: bool, code: str, sentence: str
) -> None:
    with pytest.raises(MammoError, match=sentence) as caught:
        check_shared(8, computation, devices, averaged=averaged)
    assert caught.value.code == code
    for wrong in ({"precision": "float64"}, {"accumulate": 0}):
        with pytest.raises(MammoError) as caught:
            Computation(**wrong)
        assert caught.value.code == "computation_wrong"


HEAD = Stage("head", ("second", "output"), 1e-2, 4, batch_norm=False, weight_decay=1e-3, rate_patience=1, average=0.8)


def test_kept_features_give_the_weights_of_the_whole_network(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout in the head, decay, moving averages, the last, filled batch; and a pause."""
    material = make_material(records, batch_size=5)
    assert len(material.training) % 5
    looked = []
    stream = cached_body.inference_stream
    monkeypatch.setattr(cached_body, "inference_stream", lambda *what: looked.append(1) or stream(*what))
    plain, curve = fit_stage(deep_model(), HEAD, material, tmp_path / "plain")
    assert not looked
    kept = Computation(cache_features=True)
    cached, other = fit_stage(deep_model(), HEAD, material, tmp_path / "cached", computation=kept)
    assert len(looked) == 1, "the features of all pictures, once"
    for one, two in zip(plain.get_weights(), cached.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    for name in ("loss", "val_loss", "auc", "rate", "penalty"):
        assert [row[name] for row in curve] == pytest.approx([row[name] for row in other], abs=1e-5), name
    with pytest.raises(_StopError):
        fit_stage(deep_model(), HEAD, material, tmp_path / "paused", computation=kept, on_epoch=_interrupt(2))
    assert not list((tmp_path / "paused").glob(".*"))
    paused, _ = fit_stage(deep_model(), HEAD, material, tmp_path / "paused", computation=kept)
    for one, two in zip(cached.get_weights(), paused.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_what_is_frozen_is_found() -> None:
    def kept(stage: Stage) -> tuple[str, ...]:
        body, _ = cached_body._in_two(prepare_stage(deep_model(), stage))
        return tuple(layer.name for layer in body.layers)[-1:]

    assert kept(HEAD) == ("joined",)
    assert kept(replace(HEAD, trainable=("output",))) == ("pooled",), "dropout is drawn anew each time"
    assert kept(replace(HEAD, trainable=("beside", "output"))) == ("norm",)
    assert kept(replace(HEAD, batch_norm=True, trainable=("norm", "output"))) == ("first",)
    for trainable in (("all",), ("first", "output")):
        with pytest.raises(MammoError, match="no frozen beginning") as caught:
            kept(replace(HEAD, trainable=trainable))
        assert caught.value.code == "body_uncached"


def test_where_pictures_change_the_stage_is_trained_as_ever(
    records: Records, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mammo_tf")
    stage = replace(HEAD, epochs=1)
    material = make_material(records, Augmentation(rotation=5))
    plain, _ = fit_stage(deep_model(), stage, material, tmp_path / "plain")
    asked, _ = fit_stage(
        deep_model(), stage, material, tmp_path / "asked", computation=Computation(cache_features=True)
    )
    for one, two in zip(plain.get_weights(), asked.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert "no features are kept: the pictures of a stage are not the same in every epoch" in caplog.text
