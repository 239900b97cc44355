"""A trained model to a bundle, and back."""

from mammo_tf.serving.bundle import Bundle, Scored, is_bundle, open_bundle
from mammo_tf.serving.export import check_servable, export_bundle, with_activation_map

__all__ = ["Bundle", "Scored", "check_servable", "export_bundle", "is_bundle", "open_bundle", "with_activation_map"]
