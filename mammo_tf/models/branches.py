"""Which branch of a network an image is closest to, by the statistics of what its normalisations are given.

Source: Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered microcalcifications using
multiple layer normalization*, equations 16 to 20; Zhou et al., *Generalizable Cross-modality Medical Image Segmentation
via Style Augmentation and Dual Normalization*. Answers and a reading of both in `tests/golden/dual_norm`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError

METRICS = ("cosine", "euclidean", "cosine_separate", "euclidean_separate", "dual_normalization", "literal")
TINY = 1e-8  # below this a norm counts as this
SHIFT = 1e-6  # that PyTorch's distance adds to each component
Statistics = Sequence[NDArray[np.floating]]


def branch_distances(domain: Statistics, target: Statistics, metric: str = "cosine") -> NDArray[np.float64]:
    """How far a target is from each branch's domain, summed over layers; float64 `[branches]`.

    Args:
        domain: for each layer `[branches, 2, ...]`, mean and standard deviation of the training domain of a branch; a
            third entry, the mean of the input (`corrective_mean`), gives the forms that the paper marks "+".
        target: of the same shapes, of the target run through each branch.
        metric: "cosine", 1 - cosine of all entries together (equation 18, read as a distance); "euclidean";
            "cosine_separate" and "euclidean_separate", mean and deviation each for itself; "dual_normalization",
            the latter as published, with variances in place of deviations; or "literal", the sum of similarities
            itself, of which equation 20 takes the least.

    Raises:
        MammoError: `metric_unknown`, `statistics_differ`, `branch_untrained` for a domain that is not finite.
    """
    if metric not in METRICS:
        raise MammoError("metric_unknown", f"no metric of branches {metric!r}", f"Choose one of {', '.join(METRICS)}")
    if len(domain) != len(target) or not len(domain):
        sentence = f"statistics of {len(domain)} layers of the domain and of {len(target)} of the target"
        raise MammoError("statistics_differ", sentence, "Take both from the same network")
    total = np.zeros(len(domain[0]))
    for number, (ours, theirs) in enumerate(zip(domain, target, strict=True)):
        a, b = (np.asarray(one, np.float64) for one in (ours, theirs))
        if a.shape != b.shape or a.ndim < 2 or a.shape[1] < 2:
            sentence = f"layer {number}: {list(a.shape)} of the domain, {list(b.shape)} of the target"
            raise MammoError("statistics_differ", sentence)
        check_trained(a)
        total = total + _of_layer(a, b, metric)
    return total


def select_branch(domain: Statistics, target: Statistics, metric: str = "cosine") -> int:
    """The branch with the smallest distance, the first of equal ones; see `branch_distances`."""
    return int(np.argmin(branch_distances(domain, target, metric)))


def check_trained(domain: NDArray[np.float64]) -> None:
    """Refuses a branch without statistics.

    Args:
        domain: of a layer, or of several, `[branches, ...]`.

    Raises:
        MammoError: `branch_untrained`.
    """
    finite = np.isfinite(domain).reshape(len(domain), -1).all(axis=1)
    if not finite.all():
        sentence = f"branch {int(np.argmin(finite))} of the network was never trained, so nothing compares with it"
        raise MammoError("branch_untrained", sentence, "Train with pictures of every branch (data.DomainSampling)")


def _of_layer(a: NDArray[np.float64], b: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    joint = [part.reshape(len(part), -1) for part in (a, b)]
    apart = [(a[:, entry].reshape(len(a), -1), b[:, entry].reshape(len(b), -1)) for entry in range(a.shape[1])]
    if metric == "cosine":
        return _one_minus_cosine(*joint)
    if metric == "literal":
        return 1.0 - _one_minus_cosine(*joint)
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(joint[0] - joint[1], axis=1))
    if metric == "cosine_separate":
        return np.sum([_one_minus_cosine(*pair) for pair in apart], axis=0)
    shift = SHIFT if metric == "dual_normalization" else 0.0
    return np.sum([np.linalg.norm(one - other + shift, axis=1) for one, other in apart], axis=0)


def _one_minus_cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - cosine along the last axis, as half the squared difference of the directions, which keeps its digits."""
    one, other = (part / np.maximum(np.linalg.norm(part, axis=-1, keepdims=True), TINY) for part in (a, b))
    short = (np.linalg.norm(a, axis=-1) < TINY) | (np.linalg.norm(b, axis=-1) < TINY)
    return np.where(short, 1.0 - np.sum(one * other, axis=-1), np.sum((one - other) ** 2, axis=-1) / 2)


def corrective_mean(pictures: ArrayLike) -> NDArray[np.float64]:
    """Mean of the pixels above each picture's minimum, the background; float64 `[batch]`.

    Args:
        pictures: `[batch, ...]`; a picture of one value gives that value.
    """
    flat = np.asarray(pictures, np.float64)
    flat = flat.reshape(len(flat), -1)
    above = flat > flat.min(axis=1, keepdims=True)
    counts = above.sum(axis=1)
    return np.where(counts > 0, (flat * above).sum(axis=1) / np.maximum(counts, 1), flat[:, 0])


def with_corrective(statistics: Statistics, means: ArrayLike) -> list[NDArray[np.float64]]:
    """Statistics `[branches, 2]` of each layer with a third entry, the corrective mean of each branch `[branches]`."""
    third = np.asarray(means, np.float64)[:, None]
    return [np.concatenate([np.asarray(layer, np.float64), third], axis=1) for layer in statistics]


def input_statistics(values: ArrayLike, reduction: str = "element") -> NDArray[np.float64]:
    """What a layer's input is reduced to, for arrays that are at hand.

    Args:
        values: `[batch, ..., features]`.
        reduction: "element", mean and deviation over everything of an image, `[2, batch]`; "token", the mean over
            places of each place's own mean and deviation, `[2, batch]`; "channel", mean and **variance** of each
            feature over batch and places, `[2, features]`.

    Raises:
        MammoError: `reduction_unknown`.
    """
    values = np.asarray(values, np.float64)
    tokens = values.reshape(len(values), -1, values.shape[-1])
    if reduction == "element":
        return np.stack([tokens.mean(axis=(1, 2)), tokens.std(axis=(1, 2))])
    if reduction == "token":
        return np.stack([tokens.mean(axis=2).mean(axis=1), tokens.std(axis=2).mean(axis=1)])
    if reduction == "channel":
        return np.stack([tokens.mean(axis=(0, 1)), tokens.var(axis=(0, 1))])
    raise MammoError("reduction_unknown", f"no reduction {reduction!r}", "Choose element, token or channel")
