"""The plain mean over four flips of a picture."""

from __future__ import annotations

import keras
from keras import layers, ops

FLIPS = {"left_right": (2,), "up_down": (1,), "both": (1, 2)}  # axes of [batch, rows, columns, ...]


@keras.saving.register_keras_serializable("mammo_tf")
class Flip(layers.Layer):
    """Mirrors pictures `[batch, rows, columns, channels]` along the given axes (1: up-down, 2: left-right)."""

    def __init__(self, axes: tuple[int, ...], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axes = tuple(axes)

    def call(self, pictures: object) -> object:
        return ops.flip(pictures, axis=self.axes)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "axes": self.axes}


def flip_averaged(model: keras.Model) -> keras.Model:
    """The mean of the model's output on the picture as it is, left-right, up-down, and both ways.

    An output that is a picture itself (`[batch, rows, columns, channels]`) is mirrored back first. Source:
    `tests/golden/end2end`, `y_flipavg`. Weights are shared with `model`; four times its work.
    """
    inputs = keras.Input(model.input.shape[1:], name="input_1")
    outputs = [model(inputs)]
    for name, axes in FLIPS.items():
        given = model(Flip(axes, name=f"flip_{name}")(inputs))
        outputs.append(Flip(axes, name=f"back_{name}")(given) if len(given.shape) == 4 else given)
    return keras.Model(inputs, layers.Average(name="mean_over_flips")(outputs), name=f"{model.name}_flip_averaged")
