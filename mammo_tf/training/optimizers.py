"""Optimisers whose weight decay stands elsewhere than Keras puts it.

Keras' own `weight_decay` is decoupled (AdamW), and its regularisers act on the kernels that carry them. Here it is
added to the gradient, as Adam of other frameworks has it, or stands inside the update that LAMB scales.
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
class CoupledLamb(_Coupled, keras.optimizers.Lamb):
    """LAMB on gradient + decay x weight."""


@keras.saving.register_keras_serializable("mammo_tf")
class CoupledSGD(_Coupled, keras.optimizers.SGD):
    """Momentum on gradient + decay x weight."""


@keras.saving.register_keras_serializable("mammo_tf")
class Lamb(keras.optimizers.Lamb):
    """LAMB with its decay where it was published: in the update, before the trust ratio scales it.

    Keras' own shrinks each weight by rate x factor apart from that. Source: You et al., *Large Batch Optimization for
    Deep Learning: Training BERT in 76 minutes*, ICLR 2020, algorithm 2; answers in `tests/golden/addons`.

    Args:
        weight_decay: factor; None for none, which is Keras' own LAMB.
    """

    def __init__(self, *args: Any, weight_decay: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.decay_in_update = weight_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.decay_in_update or not self._use_weight_decay(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        ops, dtype, number = keras.ops, variable.dtype, self._get_variable_index(variable)
        gradient, step = ops.cast(gradient, dtype), ops.cast(self.iterations + 1, dtype)
        moments = []
        for moment, value, momentum in (
            (self._momentums[number], gradient, self.beta_1),
            (self._velocities[number], ops.square(gradient), self.beta_2),
        ):
            self.assign_add(moment, (value - moment) * (1 - momentum))
            moments.append(moment / (1 - ops.power(ops.cast(momentum, dtype), step)))
        update = moments[0] / (ops.sqrt(moments[1]) + self.epsilon) + self.decay_in_update * variable
        weight_norm, update_norm = ops.norm(variable), ops.norm(update)
        both = ops.logical_and(weight_norm > 0, update_norm > 0)
        ratio = ops.where(both, weight_norm / ops.where(both, update_norm, 1.0), 1.0)
        self.assign_sub(variable, ratio * ops.cast(learning_rate, dtype) * update)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_decay": self.decay_in_update}
