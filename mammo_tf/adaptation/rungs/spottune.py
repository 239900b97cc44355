"""SpotTune: every residual block twice, chosen for each picture (method A, section 2.4.2)."""

from mammo_tf.adaptation.rungs.trained import Fitted, everything, no_residual_blocks

SPOTTUNE = Fitted("spottune", "SpotTune", everything, no_residual_blocks, spottune=True)
