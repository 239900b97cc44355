"""What a metric of `metrics.json` is called for a reader."""

from __future__ import annotations

from mammo_tf.evaluation import rates
from mammo_tf.evaluation.froc import TITLES as OF_CURVE
from mammo_tf.evaluation.metrics import POINTS
from mammo_tf.evaluation.probabilities import CALIBRATED, TITLES
from mammo_tf.evaluation.segmentations import TITLES as OF_MASKS

OF_THE_CURVE = {"auc": "AUC", "auc_delong": "AUC, DeLong's interval", "threshold": "Threshold"}


def title_of(metric: str) -> str:
    """The title of a metric; of one that is not known its name in words."""
    if metric.endswith(CALIBRATED):
        return f"{title_of(metric.removesuffix(CALIBRATED))}, calibrated"
    if metric in POINTS:
        return f"Sensitivity at {100 * POINTS[metric]:g} % specificity"
    known = OF_THE_CURVE | TITLES | OF_MASKS | OF_CURVE | {rate.name: rate.title for rate in rates.RATES}
    return known.get(metric, metric.replace("_", " ").capitalize())
