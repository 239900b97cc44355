"""Records to batches: one stream for training, one for inference."""

from mammo_tf.data.plans import BALANCES, NO_AUGMENTATION, Augmentation, Patches, WholeImages
from mammo_tf.data.sheets import image_labels, patch_sheets
from mammo_tf.data.streams import inference_stream, steps_per_epoch, stream_errors, training_stream

__all__ = [
    "BALANCES",
    "NO_AUGMENTATION",
    "Augmentation",
    "Patches",
    "WholeImages",
    "image_labels",
    "inference_stream",
    "patch_sheets",
    "steps_per_epoch",
    "stream_errors",
    "training_stream",
]
