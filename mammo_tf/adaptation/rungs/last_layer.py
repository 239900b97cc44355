"""The output alone fitted to labels; batch normalisations keep their statistics."""

from mammo_tf.adaptation.rungs.trained import Fitted, first

LAST_LAYER = Fitted("last_layer", "Last layer", first("output", batch_norm=False))
