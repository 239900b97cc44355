"""Running figures of training, for curves; what is reported is computed exactly elsewhere."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mammo_tf.models.answers import LARGER, LAST, share_of_larger
from mammo_tf.training.losses import mask_and_branch, positive_probability


@keras.saving.register_keras_serializable("mammo_tf")
class PositiveAUC(keras.metrics.AUC):
    """ROC AUC of column 1, at 1,000 thresholds: a running figure for curves; reported AUCs are exact."""

    def __init__(self, name: str = "auc", dtype: Any = None) -> None:
        super().__init__(num_thresholds=1000, name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true[..., 1], y_pred[..., 1], sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable("mammo_tf")
class RunningDice(keras.metrics.Metric):
    """Dice of the positive class over all pixels so far, at a threshold.

    Args:
        threshold: a pixel is called positive from this probability on.
        answer: one of `models.answers.ANSWERS`, what the probability is.
    """

    def __init__(self, threshold: float = 0.5, name: str = "dice", dtype: Any = None, answer: str = LAST) -> None:
        super().__init__(name=name, dtype=dtype)
        self.threshold, self.answer = threshold, answer
        self.both = self.add_weight(name="both", initializer="zeros")
        self.either = self.add_weight(name="either", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, _ = mask_and_branch(ops.cast(y_true, "float32"))
        given = share_of_larger(y_pred) if self.answer == LARGER else positive_probability(y_pred)
        called = ops.cast(given >= self.threshold, "float32")
        self.both.assign_add(ops.sum(truth * called))
        self.either.assign_add(ops.sum(truth) + ops.sum(called))

    def result(self) -> Any:
        return ops.where(self.either > 0, 2.0 * self.both / ops.maximum(self.either, 1.0), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "name": self.name, "dtype": self.dtype, "answer": self.answer}
