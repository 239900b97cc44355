"""Normalisation layers and the output fitted to labels, everything else kept."""

from mammo_tf.adaptation.rungs.trained import Fitted, first

NORMALISATION = Fitted("normalisation", "Normalisation and output", first("normalisation", "output"))
