"""Moving averages of the weights: what they are, that training does not feel them, that they survive a stop."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.records import Records
from mammo_tf.training import Stage, fit_stage
from mammo_tf.training.callbacks import Averages

sys.path.insert(0, str(Path(__file__).parent))
from test_fit import make_material, make_model  # noqa: E402 - it lies next to this file


def test_an_average_is_that_of_the_weights_after_each_step() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8), "mse")
    steps, swapped = [], []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(model.get_weights()[0].copy()),
    )
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: swapped.append(model.get_weights()[0].copy())
    )
    inputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: back.append(model.get_weights()[0].copy()))
    back: list[np.ndarray] = []
    averages = Averages()
    callbacks = [record, averages, look, averages, after]
    model.fit(inputs, inputs.sum(axis=1), batch_size=8, epochs=2, callbacks=callbacks, verbose=0)
    expected = steps[0]
    for number, weights in enumerate(steps[1:], 1):
        expected = 0.8 * expected + 0.2 * weights
        if number == 4:
            np.testing.assert_allclose(swapped[0], expected, rtol=1e-5)
    np.testing.assert_allclose(swapped[1], expected, rtol=1e-5)
    np.testing.assert_array_equal(back[0], steps[4])
    np.testing.assert_array_equal(back[1], steps[9])


def stage(average: float | None) -> Stage:
    return Stage("one", ("all",), 1e-3, 2, rate_patience=0, stop_patience=0, average=average)


def test_training_goes_on_from_the_weights_and_survives_a_stop(records: Records, tmp_path: Path) -> None:
    material = make_material(records)
    plain, plain_rows = fit_stage(make_model(), stage(None), material, tmp_path / "plain")
    whole, rows = fit_stage(make_model(), stage(0.9), material, tmp_path / "whole")
    for one, other in zip(plain_rows, rows, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert plain_rows[0]["val_loss"] != pytest.approx(rows[0]["val_loss"], rel=1e-5)
    assert not np.allclose(plain.get_weights()[0], whole.get_weights()[0], rtol=1e-5)

    def stop(history: list[dict[str, float]]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_stage(make_model(), stage(0.9), material, tmp_path / "stopped", on_epoch=stop)
    again, _ = fit_stage(make_model(), stage(0.9), material, tmp_path / "stopped")
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("average", [0.0, 1.0, -0.5])
def test_a_momentum_lies_between_0_and_1(average: float) -> None:
    with pytest.raises(MammoError) as caught:
        stage(average)
    assert caught.value.code == "stage_wrong"
