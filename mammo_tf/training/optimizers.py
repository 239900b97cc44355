"""Optimisers whose weight decay is added to the gradient, as Adam of other frameworks has it.

Keras' own `weight_decay` is decoupled (AdamW), and its regularisers act on the kernels that carry them.
"""

from __future__ import annotations

from typing import Any

import keras


class _Coupled(keras.optimizers.Optimizer):
    """Adds `coupled_decay` x weight to the gradient of every weight that is trained, once it is summed over devices.

    Args:
        coupled_decay: the factor, 0 or more.
    """

    def __init__(self, *args: Any, coupled_decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.coupled_decay = coupled_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        shrinking = keras.ops.multiply(variable, self.coupled_decay)
        super().update_step(keras.ops.add(gradient, shrinking), variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "coupled_decay": self.coupled_decay}


@keras.saving.register_keras_serializable("mammo_tf")
class CoupledAdam(_Coupled, keras.optimizers.Adam):
    """Adam on gradient + decay x weight."""


@keras.saving.register_keras_serializable("mammo_tf")
class CoupledNadam(_Coupled, keras.optimizers.Nadam):
    """Nadam on gradient + decay x weight."""


@keras.saving.register_keras_serializable("mammo_tf")
class CoupledSGD(_Coupled, keras.optimizers.SGD):
    """Momentum on gradient + decay x weight."""
