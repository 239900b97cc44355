"""Model to bundle; bundle to scores of files.

Names are looked up when they are asked for: processes that read pictures for `predict` need this room's
`predict_picture`, and no TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammo_tf.serving.bundle import Bundle, Scored, is_bundle, open_bundle
    from mammo_tf.serving.client import Client
    from mammo_tf.serving.export import export_bundle
    from mammo_tf.serving.scorer import Scorer, open_scorer

__all__ = ["Bundle", "Client", "Scored", "Scorer", "export_bundle", "is_bundle", "open_bundle", "open_scorer"]
MODULES = {
    "Client": "client",
    "export_bundle": "export",
    "Scorer": "scorer",
    "open_scorer": "scorer",
}  # the others: bundle


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES.get(name, 'bundle')}"), name)
