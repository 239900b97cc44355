"""Losses that Keras does not have in the papers' form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from mammo_tf.training.over_devices import over_devices

POSITIVE_WEIGHT = 10.0  # of a pixel of a finding, in `weighed_cross_entropy`


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
    return -2.0 * ops.mean(_share(both, either))


def _sum_of_each_class(values: Any) -> Any:
    """Sums over all axes but the last, one after the other: in one go float32 loses the fourth digit of a million."""
    while len(values.shape) > 1:
        values = ops.sum(values, axis=-2)
    return values


def positive_probability(outputs: Any) -> Any:
    """The probability of the positive class of every pixel, `[batch, rows, columns]`.

    Args:
        outputs: `[batch, rows, columns, 1]` of a sigmoid, `[batch, rows, columns, 2]` of a softmax over
            [negative, positive] or of a sigmoid for each, or the maps of a network that is supervised at several
            depths, the answer last.
    """
    return outputs[..., -1]


def weighed_maps(outputs: Any, weights: Sequence[float]) -> list[tuple[float, Any]]:
    """What counts in the loss, and how much: each a weight and probabilities `[batch, rows, columns]`.

    Args:
        outputs: of a network, see `positive_probability`.
        weights: its `models.networks.output_weights_of`.
    """
    if len(weights) == 1:
        return [(weights[0], positive_probability(outputs))]
    return [(weight, outputs[..., number]) for number, weight in enumerate(weights)]


class LossMap(NamedTuple):
    """One map of a network as it counts in the loss.

    Attributes:
        weight: how much.
        truth: of the map's class, `[batch, rows, columns]`.
        given: its probability, of the same shape.
    """

    weight: float
    truth: Any
    given: Any


def loss_maps(of: str, truth: Any, outputs: Any, weights: Sequence[float]) -> list[LossMap]:
    """The maps that a loss is taken of; the loss is their weighed sum.

    Args:
        of: a name in `PIXEL_LOSSES`.
        truth: masks `[batch, rows, columns]`.
        outputs: of a network, see `positive_probability`; where the loss is of every class and two are given, the map
            of the background counts as much as that of the finding.
        weights: see `weighed_maps`.
    """
    if PIXEL_LOSSES[of].every_class and len(weights) == 1 and outputs.shape[-1] == 2:
        return [LossMap(0.5, 1.0 - truth, outputs[..., 0]), LossMap(0.5, truth, outputs[..., 1])]
    return [LossMap(weight, truth, given) for weight, given in weighed_maps(outputs, weights)]


class PixelSums(NamedTuple):
    """Sums over pixels, each a number or an array of branches.

    Attributes:
        both: of truth x probability.
        given: of probabilities.
        true: of truth.
        pixels: their number.
    """

    both: Any
    given: Any
    true: Any
    pixels: Any


def dice_of_sums(sums: PixelSums) -> Any:
    """`dice_loss` of [negative, positive]."""
    either = sums.given + sums.true
    negative = _share(sums.pixels - either + sums.both, 2.0 * sums.pixels - either)
    return -(_share(sums.both, either) + negative)


def smooth_dice_of_sums(sums: PixelSums) -> Any:
    """-(2 both + 1) / (given + true + 1) of the positive class; -1 where there is neither.

    Source: the published training of M-net (`models.mnet`); `tests/golden/baselines`.
    """
    return -(2.0 * sums.both + 1.0) / (sums.given + sums.true + 1.0)


def class_dice_of_sums(sums: PixelSums) -> Any:
    """1 - (2 both + 1e-5) / (given + true + 1e-5) of one class; 0 where it is in neither.

    Source: the published training of dual normalisation (Zhou et al., CVPR 2022), which takes the mean over all
    classes, the background too, of a sigmoid each; `tests/golden/dual_norm`, `dn_dice1_sigmoid`.
    """
    return 1.0 - (2.0 * sums.both + 1e-5) / (sums.given + sums.true + 1e-5)


def focal_tversky_of_sums(sums: PixelSums) -> Any:
    """(1 - T)^(3/4), T = both / (both + 0.7 missed + 0.3 false), of the positive class; 0 where there is neither.

    Source: Abraham and Khan, *A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation*, with its alpha of 0.7 and gamma of 4/3. The slope at T = 1 is cut off 1e-6 before it.
    """
    missed, false = sums.true - sums.both, sums.given - sums.both
    whole = sums.both + 0.7 * missed + 0.3 * false
    lost = ops.where(whole == 0, 0.0, 1.0 - _share(sums.both, whole))
    return ops.power(ops.maximum(lost, 1e-6), 0.75) - 1e-6**0.75


def pixel_cross_entropy(truth: Any, probability: Any) -> Any:
    """Mean over the pixels of each picture, `[batch]`."""
    return ops.mean(ops.binary_crossentropy(truth, probability), axis=(1, 2))


def weighed_cross_entropy(truth: Any, probability: Any) -> Any:
    """`pixel_cross_entropy` in which a pixel of a finding counts `POSITIVE_WEIGHT` times, `[batch]`.

    For findings that are a few per cent of the pixels. docs/tables.md has what trains under which loss, and what does
    not.
    """
    weights = 1.0 + (POSITIVE_WEIGHT - 1.0) * truth
    return ops.mean(weights * ops.binary_crossentropy(truth, probability), axis=(1, 2))


class LossParts(NamedTuple):
    """A loss as the sum of two parts; either may be missing.

    Attributes:
        of_sums: of `PixelSums` over all pictures at once, so that one without a lesion counts with the others.
        of_pictures: of mask and positive probability, float32 `[batch, rows, columns]`, to a loss a picture.
        every_class: the mean of both parts over the classes that a network gives a map of, the background too; else
            they are of the positive one.
    """

    of_sums: Callable[[PixelSums], Any] | None = None
    of_pictures: Callable[[Any, Any], Any] | None = None
    every_class: bool = False


# A further loss is a function above and a line here.
PIXEL_LOSSES = {
    "dice": LossParts(dice_of_sums),
    "cross_entropy": LossParts(of_pictures=pixel_cross_entropy),
    "dice_and_cross_entropy": LossParts(dice_of_sums, pixel_cross_entropy),
    "dice_and_weighed_cross_entropy": LossParts(dice_of_sums, weighed_cross_entropy),
    "smooth_dice": LossParts(smooth_dice_of_sums),
    "class_dice": LossParts(class_dice_of_sums, every_class=True),
    "focal_tversky": LossParts(focal_tversky_of_sums),
}


def sums_of_pictures(truth: Any, probability: Any) -> PixelSums:
    """The sums of each picture, `[batch]` each, of masks and probabilities `[batch, rows, columns]`."""
    return PixelSums(*(_sum_of_pictures(part) for part in (truth * probability, probability, truth, truth * 0 + 1)))


def branches_loss(of: str, sums: PixelSums, pictures: Any | None, shares: Any) -> Any:
    """Sum over branches of the loss of each one's pictures; a branch without a picture adds 0.

    Pictures are those of the whole batch, on whatever devices they are.

    Source: Wang et al. (see `dice_loss`), equations 14 and 15.

    Args:
        of: a name in `PIXEL_LOSSES`.
        sums: of each picture, `[batch]` each.
        pictures: loss of each picture, `[batch]`, where the loss has such a part.
        shares: `[batch, branches]`, 1 where a picture is of a branch.
    """
    parts, total = PIXEL_LOSSES[of], 0.0
    ones = ops.ones_like(sums.both)
    columns = [ones, ones * 0 if pictures is None else pictures, *sums]
    found = over_devices(ops.stack([ops.sum(column[:, None] * shares, axis=0) for column in columns]))
    counts, of_pictures, *of_sums = (found[number] for number in range(len(columns)))
    if parts.of_sums is not None:
        total += ops.sum(ops.where(counts > 0, parts.of_sums(PixelSums(*of_sums)), 0.0))
    if pictures is not None:
        total += ops.sum(_share(of_pictures, counts))
    return total


@keras.saving.register_keras_serializable("mammo_tf")
class PixelLoss(keras.losses.Loss):
    """A loss of the positive probability of every pixel, the same for a sigmoid and for a softmax of two.

    One whose `LossParts.every_class` is set is of the probabilities of all classes.

    Args:
        of: a name in `PIXEL_LOSSES`.
        branches: of the network; the loss is the sum over them.
        output_weights: of the network's maps, see `weighed_maps`; the loss is their weighed sum.
    """

    def __init__(
        self, of: str = "dice", branches: int = 1, name: str = "pixel_loss", output_weights: Sequence[float] = (1.0,)
    ) -> None:
        super().__init__(name=name)
        self.of, self.branches, self.output_weights = of, branches, tuple(output_weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Masks `[batch, rows, columns]` (see `with_branch`) and outputs to the loss, `[batch]` times the same."""
        truth, branch = mask_and_branch(ops.cast(y_true, "float32"))
        shares = ops.one_hot(ops.cast(branch, "int32"), self.branches, dtype="float32")
        total = 0.0
        of_pictures = PIXEL_LOSSES[self.of].of_pictures
        for weight, true, given in loss_maps(self.of, truth, ops.cast(y_pred, "float32"), self.output_weights):
            pictures = None if of_pictures is None else of_pictures(true, given)
            total += weight * branches_loss(self.of, sums_of_pictures(true, given), pictures, shares)
        return ops.broadcast_to(total, (ops.shape(truth)[0],))

    def get_config(self) -> dict[str, Any]:
        own = {"of": self.of, "branches": self.branches, "output_weights": list(self.output_weights)}
        return {**own, "name": self.name}


def with_branch(mask: Any, branch: Any) -> Any:
    """Masks and the branch of each picture as one target, `[batch, rows, columns, 2]`; see `mask_and_branch`.

    Args:
        mask: float32 `[batch, rows, columns]`.
        branch: whole numbers `[batch]`.
    """
    plane = ops.zeros_like(mask) + ops.cast(branch, mask.dtype)[:, None, None]
    return ops.stack([mask, plane], axis=-1)


def mask_and_branch(target: Any) -> tuple[Any, Any]:
    """Masks `[batch, rows, columns]` and branches `[batch]` of a target; branch 0 where it is the masks alone."""
    if len(target.shape) == 4:
        return target[..., 0], target[:, 0, 0, 1]
    return target, target[:, 0, 0] * 0


def _sum_of_pictures(values: Any) -> Any:
    """Sums over rows, then over columns: in one go float32 loses the fourth digit of a million."""
    return ops.sum(ops.sum(values, axis=1), axis=1)


def _share(part: Any, whole: Any) -> Any:
    """`part / whole`, 0 where `whole` is 0; what is not a number stays so."""
    return ops.where(whole == 0, 0.0, part / ops.where(whole == 0, 1.0, whole))
