"""What a reader of films asks of a segmentation: which clusters were found, and how many false ones there are an image.

A cluster is a connected component of a mask (neighbours by side, edge and corner), or several that lie no further apart
than a stated distance. Which truth counts as found is a `HitRule`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.surface import border, bounding_box, checked_masks, checked_spacing

ROUNDING = 1e-9  # of a distance or a Dice coefficient that a rule names exactly
RULES = ("overlap", "dice", "centre")


@dataclass(frozen=True)
class HitRule:
    """When a predicted cluster hits a true one.

    Attributes:
        kind: "overlap", a pixel in common; "dice", a Dice coefficient of the two from `value` on; "centre", centres of
            mass no further apart than `value` mm.
        value: of dice, above 0 and up to 1; of centre, mm above 0; not used by overlap.

    Raises:
        MammoError: `rule_wrong`.
    """

    kind: str = "overlap"
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in RULES:
            raise MammoError("rule_wrong", f"no rule {self.kind!r} tells a hit", f"Known are {', '.join(RULES)}")
        if self.kind == "dice" and not 0 < self.value <= 1:
            raise MammoError("rule_wrong", f"a hit by a Dice of {self.value:g} does not exist", "Above 0, up to 1")
        if self.kind == "centre" and not (np.isfinite(self.value) and self.value > 0):
            raise MammoError("rule_wrong", f"centres {self.value:g} mm apart are no rule", "Give mm above 0")

    @property
    def text(self) -> str:
        """For a cell of a table: `overlap`, `dice 0.2`, `centre 5`."""
        return self.kind if self.kind == "overlap" else f"{self.kind} {self.value!r}"

    @classmethod
    def of_text(cls, text: str) -> HitRule:
        """What `text` gave, back.

        Raises:
            MammoError: `rule_wrong`.
        """
        kind, _, value = text.strip().partition(" ")
        try:
            return cls(kind, float(value or 0.0))
        except ValueError:
            raise MammoError("rule_wrong", f"{text!r} is not a rule that tells a hit", "Such as dice 0.2") from None

    @property
    def words(self) -> str:
        """For the reader of a number."""
        if self.kind == "overlap":
            return "found: a pixel in common"
        if self.kind == "dice":
            return f"found: Dice with one call of {self.value:g} or more"
        return f"found: centres within {self.value:g} mm"


ANY_OVERLAP = HitRule()


class Matched(NamedTuple):
    """Clusters of one picture.

    Attributes:
        found: bool `[true clusters]`, whether a call hits it.
        false: bool `[called clusters]`, whether it hits nothing that is true.
    """

    found: NDArray[np.bool_]
    false: NDArray[np.bool_]


def label_clusters(
    mask: NDArray[np.bool_], spacing: ArrayLike | None = None, join_mm: float = 0.0
) -> NDArray[np.int32]:
    """Numbers of the clusters of a mask from 1 on in the order of their first pixels, 0 elsewhere; int32 of its shape.

    Args:
        mask: bool, 2 or 3 axes.
        spacing: mm, one an axis; asked for where `join_mm` is above 0.
        join_mm: components whose pixel centres come this near are one cluster, so that specks make one.

    Raises:
        MammoError: `spacing_unknown`, `spacing_wrong`, `rule_wrong` for a negative distance.
    """
    labels, count = ndimage.label(mask, np.ones((3,) * mask.ndim, bool), output=np.int32)
    if not (np.isfinite(join_mm) and join_mm >= 0):
        raise MammoError("rule_wrong", f"components {join_mm:g} mm apart cannot be joined", "Give 0 mm or more")
    if not join_mm or count < 2:
        return np.asarray(labels, np.int32)
    places = np.argwhere(border(mask))
    tree = cKDTree(places * checked_spacing(spacing, mask.ndim))
    pairs = tree.query_pairs(join_mm * (1 + ROUNDING), output_type="ndarray")
    of_place = labels[tuple(places.T)] - 1
    ends = of_place[pairs]
    joined = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    numbers = connected_components(joined, directed=False)[1]
    first = np.unique(numbers, return_index=True)[1]  # the first component of each cluster
    order = np.argsort(np.argsort(first))
    return np.concatenate([[0], order[numbers] + 1]).astype(np.int32)[labels]


def match_clusters(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    spacing: ArrayLike | None = None,
    rule: HitRule = ANY_OVERLAP,
    join_mm: float = 0.0,
) -> Matched:
    """Which true clusters a prediction finds, and which of its own are false.

    One call may hit several true clusters, and several calls one; a call that hits any is not false.

    Args:
        prediction, truth: masks of one shape, as `surface_metrics` takes them.
        spacing: mm, one an axis; asked for by the rule "centre" and by `join_mm`.
        rule: what counts as a hit.
        join_mm: as `label_clusters`, for both masks.

    Raises:
        MammoError: `masks_differ`, `mask_wrong`, `spacing_unknown`, `spacing_wrong`.
    """
    masks = checked_masks(prediction, truth)
    box = bounding_box(masks[0] | masks[1])
    called, true = (label_clusters(mask[box], spacing, join_mm) for mask in masks)
    return match_labels(called, true, spacing, rule)


def match_labels(
    called: NDArray[np.int32], true: NDArray[np.int32], spacing: ArrayLike | None = None, rule: HitRule = ANY_OVERLAP
) -> Matched:
    """As `match_clusters`, of clusters that are numbered already.

    Args:
        called, true: of one shape, as `label_clusters` gives them.
        spacing, rule: as `match_clusters`.

    Raises:
        MammoError: `spacing_unknown`, `spacing_wrong`.
    """
    calls, trues = int(called.max()), int(true.max())
    if rule.kind == "centre":
        pairs = _near(true, called, checked_spacing(spacing, called.ndim), rule.value)
    else:
        shared = (called > 0) & (true > 0)
        codes = true[shared].astype(np.int64) * (calls + 1) + called[shared]
        both, pixels = np.unique(codes, return_counts=True)
        pairs = np.stack(np.divmod(both, calls + 1), axis=1)
        if rule.kind == "dice":
            sizes = np.bincount(true.ravel())[pairs[:, 0]] + np.bincount(called.ravel())[pairs[:, 1]]
            pairs = pairs[2 * pixels >= rule.value * sizes - ROUNDING]
    found, false = np.zeros(trues + 1, np.bool_), np.ones(calls + 1, np.bool_)
    found[pairs[:, 0]], false[pairs[:, 1]] = True, False
    return Matched(found[1:], false[1:])


def specks_found(prediction: NDArray[Any], specks: NDArray[Any]) -> tuple[int, int]:
    """How many specks of a mask of single calcifications a prediction touches, and how many there are.

    Recall by speck is the sum of the first over the sum of the second, over pictures. A prediction that draws the
    whole cluster has it 1; one that draws specks is asked for each.

    Args:
        prediction, specks: masks of one shape; a speck is a connected component.

    Raises:
        MammoError: `masks_differ`, `mask_wrong`.
    """
    found = match_clusters(prediction, specks).found
    return int(found.sum()), len(found)


def _near(
    true: NDArray[np.int32], called: NDArray[np.int32], spacing: NDArray[np.float64], mm: float
) -> NDArray[np.int64]:
    """Numbers of the clusters of two pictures whose centres are no further apart than `mm`, int64 `[pairs, 2]`."""
    centres = []
    for labels in (true, called):
        found = ndimage.center_of_mass(labels > 0, labels, np.arange(1, int(labels.max()) + 1))
        centres.append(np.array(found, np.float64).reshape(-1, labels.ndim) * spacing)
    near = cKDTree(centres[1]).query_ball_point(centres[0], mm * (1 + ROUNDING))
    pairs = [(number + 1, other + 1) for number, others in enumerate(near) for other in others]
    return np.array(pairs, np.int64).reshape(-1, 2)
