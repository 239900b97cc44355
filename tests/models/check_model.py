"""What every network must pass, written once."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from mammo_tf.models import rebuild


def check_model(model: keras.Model, folder: Path, batch: int = 2) -> None:
    """Serialises, rebuilds, runs in mixed precision; outputs stay finite and equal."""
    pictures = np.random.default_rng(0).normal(0, 30, (batch, *model.input.shape[1:])).astype(np.float32)
    outputs = np.asarray(model(pictures))
    assert outputs.shape == (batch, *model.output.shape[1:])
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()

    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_allclose(np.asarray(loaded(pictures)), outputs, atol=1e-6)

    renewed = rebuild(model, dropout=0.3, weight_decay=0.01)
    np.testing.assert_allclose(np.asarray(renewed(pictures)), outputs, atol=1e-6)
    assert [layer.name for layer in renewed.layers] == [layer.name for layer in model.layers]

    mixed = rebuild(model, dtype="mixed_bfloat16")
    rounded = np.asarray(mixed(pictures))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, outputs, atol=0.1)
