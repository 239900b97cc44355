"""All weights fitted to labels at once."""

from mammo_tf.adaptation.rungs.trained import Fitted, everything

EVERYTHING = Fitted("everything", "Everything", everything)
