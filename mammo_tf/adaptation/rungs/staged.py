"""Staged unfreezing, configurations 1 and 2 (method C, Table 6)."""

from mammo_tf.adaptation.rungs.trained import Fitted, staged

STAGED_1 = Fitted("staged_1", "Staged unfreezing, configuration 1", staged("block_2", "output"))
STAGED_2 = Fitted("staged_2", "Staged unfreezing, configuration 2", staged("block_1", "block_2", "output"))
