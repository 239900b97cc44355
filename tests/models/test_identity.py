"""The digest of a network's weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end, rebuild, weights_digest
from mammo_tf.serving import export_bundle, open_scorer
from mammo_tf.training import load_model, save_model


def network(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return end2end(input_shape=(128, 128, 3), width=1 / 16, dropout=0.2)


def test_it_stays_through_saving_rebuilding_and_export(tmp_path: Path) -> None:
    model = network(1)
    told = weights_digest(model)
    assert told == weights_digest(network(1)) != weights_digest(network(2))
    assert weights_digest(rebuild(model, input_shape=(192, 160, 3))) == told
    save_model(tmp_path / "model.keras", model, Preprocessing.preset("default", (128, 128)))
    assert weights_digest(load_model(tmp_path / "model.keras").model) == told
    bundle = export_bundle(load_model(tmp_path / "model.keras"), tmp_path / "bundles")
    assert open_scorer(bundle).card.weights == open_scorer(tmp_path / "model.keras").card.weights == told


def test_one_bit_of_one_weight_changes_it() -> None:
    model = network(1)
    before = weights_digest(model)
    kernel = model.weights[0]
    values = keras.ops.convert_to_numpy(kernel).copy()
    values.flat[0] = np.nextafter(values.flat[0], np.float32(9))
    kernel.assign(values)
    assert weights_digest(model) != before
