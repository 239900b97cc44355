"""Weight decay that is added to the gradient."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.training import Computation
from mammo_tf.training.callbacks import WarmUp
from mammo_tf.training.devices import check_shared
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


def test_the_norm_of_all_gradients_is_limited() -> None:
    """By hand: plain gradient descent on gradients of norm 5, shortened to 0.5."""
    variables = [keras.Variable(np.zeros(1, np.float32)) for _ in range(2)]
    stage = replace(_stage("sgd", "decoupled", None), clip_norm=0.5)
    make_optimizer(stage).apply([keras.ops.array([3.0]), keras.ops.array([4.0])], variables)
    moved = np.array([float(variable[0]) for variable in variables])
    assert np.linalg.norm(moved) == pytest.approx(RATE * 0.5 * 1.9, rel=1e-5), "Nesterov: 1.9 gradients at first"
    np.testing.assert_allclose(moved / moved.sum(), [3 / 7, 4 / 7], rtol=1e-5)


def test_clipping_on_several_devices_is_refused() -> None:
    with pytest.raises(MammoError, match="clip_norm on 2 devices") as raised:
        check_shared(4, Computation(), 2, clipped=True)
    assert raised.value.code == "clipping_unsafe"
    for wrong in ({"clip_norm": 0.0}, {"warm_up": -1}, {"statistics": "last"}):
        with pytest.raises(MammoError, match=next(iter(wrong))):
            replace(_stage(), **wrong)


def test_the_rate_warms_up_batch_by_batch_and_goes_on_after_a_pause() -> None:
    rates = []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    noted = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    pictures = np.ones((6, 1), np.float32)
    for _ in range(2):
        model.fit(pictures, pictures, batch_size=2, verbose=0, callbacks=[WarmUp(0.4, 4), noted])
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], rtol=1e-6)
