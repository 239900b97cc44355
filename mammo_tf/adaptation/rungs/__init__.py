"""The rungs of the ladder in order of cost; a rung more is a file here and a line below."""

from mammo_tf.adaptation.rungs.batch_statistics import BatchStatistics
from mammo_tf.adaptation.rungs.everything import EVERYTHING
from mammo_tf.adaptation.rungs.harmonised import Harmonised
from mammo_tf.adaptation.rungs.histogram import Histogram
from mammo_tf.adaptation.rungs.last_layer import LAST_LAYER
from mammo_tf.adaptation.rungs.normalisation import NORMALISATION
from mammo_tf.adaptation.rungs.rung import Climbed, Rung, Site
from mammo_tf.adaptation.rungs.spottune import SPOTTUNE
from mammo_tf.adaptation.rungs.staged import STAGED_1, STAGED_2
from mammo_tf.adaptation.rungs.thresholds import NEW_THRESHOLD, RECALIBRATED, RECALIBRATED_INTERCEPT, SCORES_MATCHED
from mammo_tf.adaptation.rungs.trained import on_harmonised
from mammo_tf.adaptation.rungs.untouched import Untouched

FITTED = (NORMALISATION, LAST_LAYER, STAGED_1, STAGED_2, EVERYTHING, SPOTTUNE)
RUNGS: tuple[Rung, ...] = (
    Untouched(),
    SCORES_MATCHED,
    NEW_THRESHOLD,
    RECALIBRATED_INTERCEPT,
    RECALIBRATED,
    Histogram(),
    Harmonised(),
    BatchStatistics(),
    *(one for rung in FITTED for one in (rung, on_harmonised(rung))),
)

__all__ = ["FITTED", "RUNGS", "Climbed", "Rung", "Site"]
