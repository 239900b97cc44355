"""The plain mean over four flips of a picture."""

from __future__ import annotations

import keras
from keras import layers, ops


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
    """The mean of the model's outputs on the picture as it is, left-right, up-down, and both ways.

    Source: `tests/golden/end2end`, `y_flipavg`. Weights are shared with `model`; four times its work.
    """
    inputs = keras.Input(model.input.shape[1:], name="input_1")
    versions = [inputs, *(Flip(axes, name=f"flip_{name}")(inputs) for axes, name in
                          (((2,), "left_right"), ((1,), "up_down"), ((1, 2), "both")))]  # fmt: skip
    average = layers.Average(name="mean_over_flips")([model(version) for version in versions])
    return keras.Model(inputs, average, name=f"{model.name}_flip_averaged")
