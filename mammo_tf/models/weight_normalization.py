"""Weight normalisation: a kernel as a direction and a length for each filter.

Source: Salimans and Kingma, *Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural
Networks*, NIPS 2016, equation 2; answers of tensorflow-addons, which has it as a wrapper, in `tests/golden/addons`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

SMALLEST = 1e-12  # of a squared norm


class _WeightNormalized(layers.Layer):
    """The weight `kernel` holds directions, a further weight `length` their lengths; `layer.kernel` is both together.

    Decay acts on the directions, as it did in tensorflow-addons. A new layer has lengths of 1.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        filters = self._kernel.shape[-1]
        self.length = self.add_weight(name="length", shape=(filters,), initializer="ones")

    @property
    def direction(self) -> keras.Variable:
        """The weight behind `kernel`, of any norm."""
        return self._kernel

    @property
    def kernel(self) -> Any:
        """length x direction / norm of the direction, filter by filter (the last axis)."""
        direction = ops.cast(self._kernel, keras.backend.result_type(self.variable_dtype, "float32"))
        squared = ops.sum(ops.square(direction), axis=tuple(range(len(direction.shape) - 1)), keepdims=True)
        scaled = direction * ops.rsqrt(ops.maximum(squared, SMALLEST)) * ops.cast(self.length, direction.dtype)
        return ops.cast(scaled, self.compute_dtype)

    def save_own_variables(self, store: Any) -> None:
        layers.Layer.save_own_variables(self, store)  # a convolution's own would write the kernel, and no length

    def load_own_variables(self, store: Any) -> None:
        layers.Layer.load_own_variables(self, store)


@keras.saving.register_keras_serializable("mammo_tf")
class WeightNormalizedConv2D(_WeightNormalized, layers.Conv2D):
    """A convolution whose filters have a direction and a length."""


@keras.saving.register_keras_serializable("mammo_tf")
class WeightNormalizedDense(_WeightNormalized, layers.Dense):
    """A dense layer whose units have a direction and a length."""


WEIGHT_NORMALIZED: dict[type[layers.Layer], type[layers.Layer]] = {
    layers.Conv2D: WeightNormalizedConv2D,
    layers.Dense: WeightNormalizedDense,
}
