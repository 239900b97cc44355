"""Predictions to numbers with intervals."""

from mammo_tf.evaluation.bands import Band, auc_interval, roc_band
from mammo_tf.evaluation.calibration import Calibration, calibrate, prevalence_corrected, reliability
from mammo_tf.evaluation.comparison import compare
from mammo_tf.evaluation.ensembles import ensemble_predictions
from mammo_tf.evaluation.intervals import Interval, Resampling, bootstrap
from mammo_tf.evaluation.levels import LEVELS, Level, at_level
from mammo_tf.evaluation.metrics import compute_metrics
from mammo_tf.evaluation.multiple import adjusted, benjamini_hochberg
from mammo_tf.evaluation.numbers import Metrics, Number, read_metrics
from mammo_tf.evaluation.operating import OperatingRule, operating_point
from mammo_tf.evaluation.predictions import make_predictions, read_predictions, write_predictions
from mammo_tf.evaluation.roc import auc, curve, delong, delong_paired, g_mean_threshold
from mammo_tf.evaluation.subgroups import subgroup_metrics

__all__ = [
    "LEVELS",
    "Band",
    "Calibration",
    "Interval",
    "Level",
    "Metrics",
    "Number",
    "OperatingRule",
    "Resampling",
    "adjusted",
    "at_level",
    "auc",
    "auc_interval",
    "benjamini_hochberg",
    "bootstrap",
    "calibrate",
    "compare",
    "compute_metrics",
    "curve",
    "delong",
    "delong_paired",
    "ensemble_predictions",
    "g_mean_threshold",
    "make_predictions",
    "operating_point",
    "prevalence_corrected",
    "read_metrics",
    "read_predictions",
    "reliability",
    "roc_band",
    "subgroup_metrics",
    "write_predictions",
]
