"""The running training AUC of the positive class."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("mammo_tf")
class PositiveAUC(keras.metrics.AUC):
    """ROC AUC of column 1, at 1,000 thresholds: a running figure for curves; reported AUCs are exact."""

    def __init__(self, name: str = "auc", dtype: Any = None) -> None:
        super().__init__(num_thresholds=1000, name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true[..., 1], y_pred[..., 1], sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}
