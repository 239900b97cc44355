"""Weight decay that is added to the gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from mammo_tf.training.stages import OPTIMIZERS, Stage, make_optimizer, prepare_stage

RATE, DECAY, STEPS = 0.05, 0.3, 4


def _stage(optimizer: str = "adam", decay: str = "coupled", weight_decay: float | None = DECAY) -> Stage:
    return Stage("one", ("all",), RATE, 1, weight_decay=weight_decay, decay=decay, optimizer=optimizer)


def _model() -> keras.Model:
    pictures = keras.Input((8, 8, 1))
    tensor = keras.layers.Conv2D(2, 3, kernel_regularizer=keras.regularizers.L2(0.7))(pictures)
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(tensor))
    return keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))


def test_adam_adds_decay_to_the_gradient() -> None:
    """Adam by hand (Kingma and Ba, algorithm 1) on gradient + decay x weight, epsilon as Keras places it."""
    start, gradients = np.array([1.5, -2.0, 0.01]), np.array([0.2, -0.1, 0.4])
    weight, first, second = start.copy(), np.zeros(3), np.zeros(3)
    variable, optimizer = keras.Variable(start.astype(np.float32)), make_optimizer(_stage())
    for step in range(1, STEPS + 1):
        gradient = gradients + DECAY * weight
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weight = weight - rate * first / (np.sqrt(second) + 1e-7)
        optimizer.apply([keras.ops.convert_to_tensor(gradients, "float32")], [variable])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), weight, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_is_the_gradient_of_half_the_squares(name: str) -> None:
    """On every weight alike, biases and normalisation included, whatever the optimiser."""
    start = np.linspace(-1, 1, 6, dtype=np.float32)
    coupled, plain = make_optimizer(_stage(name)), make_optimizer(_stage(name, weight_decay=None))
    one, two = (keras.Variable(start, name=variable) for variable in ("bias", "gamma"))
    for _ in range(STEPS):
        coupled.apply([keras.ops.cos(one)], [one])
        plain.apply([keras.ops.cos(two) + DECAY * two.value], [two])
    np.testing.assert_allclose(one.numpy(), two.numpy(), atol=1e-6)


def test_a_stage_with_coupled_decay_has_no_other() -> None:
    model = prepare_stage(_model(), _stage())
    assert float(sum(model.losses)) == 0.0
    assert model.optimizer.coupled_decay == DECAY
    kept = prepare_stage(_model(), _stage(weight_decay=None))
    assert float(sum(kept.losses)) > 0.0  # None keeps the model's own


def test_the_decay_travels_in_the_configuration() -> None:
    model = prepare_stage(_model(), _stage())
    again = type(model.optimizer).from_config(model.optimizer.get_config())
    assert again.coupled_decay == DECAY
