"""A trained model to a bundle, and back."""

from mammo_tf.serving.bundle import Bundle, Scored, is_bundle, open_bundle
from mammo_tf.serving.export import export_bundle
from mammo_tf.serving.scorer import Scorer, open_scorer

__all__ = ["Bundle", "Scored", "Scorer", "export_bundle", "is_bundle", "open_bundle", "open_scorer"]
