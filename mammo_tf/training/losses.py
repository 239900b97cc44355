"""Losses that Keras does not have in the papers' form."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("mammo_tf")
def dice_loss(truth: Any, probabilities: Any) -> Any:
    """Soft Dice, -(2 / classes) x sum over classes of sum(c z) / (sum(c) + sum(z)); from 0 to -1, the best.

    Sums run over the whole batch, so that a picture without a lesion counts with the others. A class that is in
    neither adds 0. Source: Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered
    microcalcifications using multiple layer normalization*, equation 14; Keras' order of arguments.

    Args:
        truth: `[batch, ..., classes]`, one-hot.
        probabilities: of the same shape, in [0, 1].

    Returns:
        A scalar, float32.
    """
    truth, probabilities = ops.cast(truth, "float32"), ops.cast(probabilities, "float32")
    both = _sum_of_each_class(truth * probabilities)
    either = _sum_of_each_class(truth) + _sum_of_each_class(probabilities)
    shares = ops.where(either > 0, both / ops.where(either > 0, either, 1.0), 0.0)
    return -2.0 * ops.mean(shares)


def _sum_of_each_class(values: Any) -> Any:
    """Sums over all axes but the last, one after the other: in one go float32 loses the fourth digit of a million."""
    while len(values.shape) > 1:
        values = ops.sum(values, axis=-2)
    return values


def positive_probability(outputs: Any) -> Any:
    """The probability of the positive class of every pixel, `[batch, rows, columns]`.

    Args:
        outputs: `[batch, rows, columns, 1]` of a sigmoid, or `[batch, rows, columns, 2]` of a softmax over
            [negative, positive].
    """
    return outputs[..., -1]


def pixel_dice(truth: Any, probability: Any) -> Any:
    """`dice_loss` of [negative, positive] over the batch, the same number for each picture, `[batch]`."""
    both = [ops.stack([1.0 - part, part], axis=-1) for part in (truth, probability)]
    return ops.broadcast_to(dice_loss(*both), (ops.shape(truth)[0],))


def pixel_cross_entropy(truth: Any, probability: Any) -> Any:
    """Mean over the pixels of each picture, `[batch]`."""
    return ops.mean(ops.binary_crossentropy(truth, probability), axis=(1, 2))


# name -> function of (mask, positive probability), both float32 [batch, rows, columns], to a loss a picture. A further
# loss is a function above and a line here.
PIXEL_LOSSES = {"dice": pixel_dice, "cross_entropy": pixel_cross_entropy}
OF_THE_BATCH = ("dice",)  # a ratio of sums over all pictures; the others are means over pictures


@keras.saving.register_keras_serializable("mammo_tf")
class PixelLoss(keras.losses.Loss):
    """A loss of the positive probability of every pixel, the same for a sigmoid and for a softmax of two.

    Args:
        of: a name in `PIXEL_LOSSES`. Where there are several devices, Dice is taken on each one's share of the batch.
    """

    def __init__(self, of: str = "dice", name: str = "pixel_loss") -> None:
        super().__init__(name=name)
        self.of = of

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Mask `[batch, rows, columns]` and outputs to a loss a picture, `[batch]`."""
        probability = ops.cast(positive_probability(y_pred), "float32")
        return PIXEL_LOSSES[self.of](ops.cast(y_true, "float32"), probability)

    def get_config(self) -> dict[str, Any]:
        return {"of": self.of, "name": self.name}
