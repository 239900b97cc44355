"""What each of some pictures is like, in a few numbers: grey values inside the breast, and contrast by scale.

A picture is looked at as a network sees it, up to scale and mean: behind the steps that carry it to the look of a
domain, where the preprocessing has such, and with scales in prepared pixels. Scales in mm by the median spacing of some
pictures would change with what other pictures are among them: the numbers of one picture are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.bands import SCALES, eroded, spreads
from mammo_tf.imaging.domain_distance import OCTAVES, vector
from mammo_tf.imaging.harmonising import look_steps
from mammo_tf.imaging.periphery import ENDS, profile
from mammo_tf.imaging.periphery import SCALES as WINDOWS
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import run_intensity
from mammo_tf.progress import track
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import prepared_spacings

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the grey values inside the breast
LEVELS = 1024  # of the average distribution
LEAST_CONTRAST = 1e-6  # whose logarithm stands for none


class PictureVectors(NamedTuple):
    """What pictures are like, a row a picture.

    Attributes:
        positions: of the pictures in their records, int64 `[n]`; those without a breast to look at are left out.
        grey: the `QUANTILES` of the values inside the breast, float64 `[n, quantiles]`.
        robust, plain: the two statistics of `imaging.bands` of each of `imaging.bands.SCALES`, float64 `[n, scales]`.
        cdf: the average share of pixels at or below each of `LEVELS` levels; of the breast, or where no picture has a
            breast mask of those that are not black.
        profiles: brightness along the skin, `imaging.periphery.profile` at each of its `SCALES`, nan where a breast is
            too small, float64 `[n, windows, parts]`.
        masked: whether pictures have breast masks; without them there is nothing but `cdf`.
        images: how many pictures `cdf` is of.
    """

    positions: NDArray[np.int64]
    grey: NDArray[np.float64]
    robust: NDArray[np.float64]
    plain: NDArray[np.float64]
    cdf: NDArray[np.float64]
    profiles: NDArray[np.float64]
    masked: bool
    images: int

    @property
    def values(self) -> NDArray[np.float64]:
        """A vector a picture: grey values, then natural logarithms of robust contrasts, `[n, quantiles + scales]`."""
        return np.hstack([self.grey, np.log(np.maximum(self.robust, LEAST_CONTRAST))])


def some_patients(
    records: Records, positions: NDArray[np.int64], images: int | None, seed: int = 0
) -> NDArray[np.int64]:
    """All pictures of some patients, drawn whatever their labels are, sorted.

    Args:
        records: prepared.
        positions: of the pictures that may be taken.
        images: so many at most, but one patient; None takes all.
        seed: of the drawing.
    """
    if images is None or len(positions) <= images:
        return positions
    names = records.rows["patient_id"].to_numpy()[positions]
    there, counts = np.unique(names, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(there))
    kept = order[: max(1, int((np.cumsum(counts[order]) <= images).sum()))]
    return np.sort(positions[np.isin(names, there[kept])])


def median_spacing(records: Records, positions: NDArray[np.int64]) -> float | None:
    """The median spacing of the prepared pixels of some pictures in mm; None where one is not known."""
    found = prepared_spacings(records.part(positions)) if len(positions) else None
    return None if found is None else float(np.median(found))


def picture_vectors(records: Records, positions: NDArray[np.int64], preprocessing: Preprocessing) -> PictureVectors:
    """Looks at pictures; one is held at a time.

    Args:
        records: prepared.
        positions: which.
        preprocessing: of the network; of its steps those that carry pictures to the look of a domain are run.
    """
    seen: list[int] = []
    grey, robust, plain, profiles = [], [], [], []
    cdf, counted = np.zeros(LEVELS), 0
    for position in track(positions.tolist(), "what pictures are like"):
        values, breast = _seen(records, position, preprocessing)
        if breast is not None and not breast.any():
            continue
        inside = values[values > 0] if breast is None else values[breast]
        if inside.size:
            levels = np.rint(np.clip(inside, 0, 1) * (LEVELS - 1)).astype(np.int64)
            cdf += np.cumsum(np.bincount(levels, minlength=LEVELS)) / inside.size
            counted += 1
        if breast is None or not eroded(breast).any():
            continue
        bands = spreads(np.clip(values, 0, 1), breast, SCALES)
        seen.append(position)
        grey.append(np.quantile(inside, QUANTILES))
        robust.append(bands[0])
        plain.append(bands[1])
        profiles.append([profile(np.clip(values, 0, 1), breast, window) for window in WINDOWS])
    shape = (len(seen), len(SCALES))
    along = np.reshape(profiles, (len(seen), len(WINDOWS), len(ENDS)))
    return PictureVectors(
        np.asarray(seen, np.int64), np.reshape(grey, (len(seen), len(QUANTILES))), np.reshape(robust, shape),
        np.reshape(plain, shape), cdf / max(counted, 1), along, records.preprocessing.finds_breast, counted,
    )  # fmt: skip


def domain_vectors(
    records: Records, positions: NDArray[np.int64], preprocessing: Preprocessing, levels: Sequence[float]
) -> NDArray[np.float64]:
    """What `imaging.domain_distance` looks at in each picture.

    Args:
        records, positions, preprocessing: as for `picture_vectors`.
        levels: of `domain_distance.vector`.

    Returns:
        float64 `[n, len(levels) + OCTAVES]`, a row a position.
    """
    rows = [
        vector(_seen(records, position, preprocessing)[0], levels)
        for position in track(positions.tolist(), "how far pictures lie")
    ]
    return np.reshape(rows, (len(rows), len(levels) + OCTAVES))


def _seen(
    records: Records, position: int, preprocessing: Preprocessing
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """A picture behind the steps that carry it to the look of a domain, and its breast mask where there is one."""
    values = (records.picture(position) / np.float32(65535)).astype(np.float32)
    breast = records.marks(position).breast_mask
    if breast is not None and not breast.any():
        return values, breast
    for step in look_steps(preprocessing):
        values = run_intensity(step, values, np.zeros(0, np.bool_) if breast is None else breast)
    return values, breast
