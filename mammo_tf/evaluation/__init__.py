"""Predictions to numbers with intervals."""

from mammo_tf.evaluation.bands import Band, auc_interval, roc_band
from mammo_tf.evaluation.intervals import Interval, bootstrap
from mammo_tf.evaluation.metrics import compare, compute_metrics
from mammo_tf.evaluation.predictions import at_level, make_predictions, read_predictions, write_predictions
from mammo_tf.evaluation.roc import auc, curve, delong, delong_paired, g_mean_threshold

__all__ = [
    "Band",
    "Interval",
    "at_level",
    "auc",
    "auc_interval",
    "bootstrap",
    "compare",
    "compute_metrics",
    "curve",
    "delong",
    "delong_paired",
    "g_mean_threshold",
    "make_predictions",
    "read_predictions",
    "roc_band",
    "write_predictions",
]
