"""Raw pictures (For Processing) on request: a plain way from a detector's values to a picture.

A detector's value x is proportional to the exposure that came through (Pixel Intensity Relationship LIN, or not
said). With I0 the 99th percentile of x, which is the exposure beside the breast wherever a hundredth of the picture
or more shows it,

    y = max(0, ln(I0 / max(x, 1))),   picture = min(1, y / Y),   Y = the 99.9th percentile of y,

so that bright is dense (the law of Beer and Lambert: y is the attenuation along the ray), 0 is air, and few dead
pixels do not set the scale. Where the values are logarithms already (LOG), y = max(0, L0 - x) with L0 the 99th
percentile of x; where higher values are less exposure (Pixel Intensity Relationship Sign -1), y = max(0, x - L0) with
L0 the 1st percentile. Values are those behind Rescale Slope and Intercept. Padding is 0, and not counted. Polarity is
that of the sign (1 where it is not said): Photometric Interpretation says how raw data are to be shown, not what they
are.

What a maker does next (equalising the edge, sharpening, grey scale) is not done here, so a model that was trained on
pictures for presentation meets another look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import DataSet
from mammo_tf.reading.display import Display
from mammo_tf.reading.layout import Layout
from mammo_tf.reading.shades import Shades

INTENT = "presentation_intent"  # the column that says so
FOR_PROCESSING = "for_processing"  # its word for a raw picture
RAW = "raw data (For Processing), turned into a picture by logarithm and inversion alone"
AIR_PERCENTILE = 99.0
DENSEST_PERCENTILE = 99.9
_LINEAR, _LOGARITHMIC = ("", "LIN"), "LOG"


def refuse_raw(header: DataSet, shape: Layout, modality: str, asked: bool) -> None:
    """Refuses a raw picture unless it is asked for and the plain way can be gone.

    Raises:
        MammoError: `for_processing`.
    """
    sentence, remedy = "raw data for processing, not for presentation", "Take the file for presentation"
    if not asked:
        raise MammoError("for_processing", sentence, f"{remedy}; --for-processing of manifest takes it by a plain way")
    relation, sign = header.text("PixelIntensityRelationship").upper(), _sign(header)
    if modality != "FFDM" or shape.frames > 1:
        raise MammoError("for_processing", f"{sentence}, and not one digital mammogram", remedy)
    if header.sequence("ModalityLUTSequence"):
        raise MammoError("for_processing", f"{sentence}, with a table of its values (Modality LUT)", remedy)
    if relation not in (*_LINEAR, _LOGARITHMIC) or (relation in _LINEAR and sign < 0):
        written = relation if relation in (*_LINEAR, _LOGARITHMIC, "DISP") else "that is not known"
        known = f"Pixel Intensity Relationship {written or 'not told'}, sign {sign}"
        raise MammoError("for_processing", f"{sentence}, with {known}", remedy)


def choose_raw_voi(voi: str) -> str:
    """The VOI of a raw picture, `none`; error `voi_unknown` where another one is asked for."""
    if voi not in ("default", "none"):
        raise MammoError("voi_unknown", f"there is no VOI {voi!r} in raw data", "There are default, none")
    return "none"


def is_told_raw(row: Mapping[Any, Any] | None) -> bool:
    """Whether a row of a table says that its picture is raw, and to be read as this module does."""
    return row is not None and row.get(INTENT) == FOR_PROCESSING


def _sign(header: DataSet) -> int:
    return next(iter(header.integers("PixelIntensityRelationshipSign", "h")), 1)


def attenuation(stored: NDArray[np.generic], header: DataSet, shape: Layout, rules: Display) -> Shades:
    """The picture of raw values that `refuse_raw` let pass.

    Args:
        stored: `[rows, columns]` of `shape.dtype`.
        header, shape, rules: of the file.

    Returns:
        What to look it up in: bright is dense, padding 0.
    """
    words = np.arange(1 << 8 * stored.dtype.itemsize, dtype=f"u{stored.dtype.itemsize}")
    values = words.view(stored.dtype).astype(np.float64)
    counts = np.bincount(stored.view(words.dtype).ravel(), minlength=len(words)).astype(np.float64)
    padded = np.zeros(len(words), bool)
    if rules.padding is not None:
        padded = (values >= rules.padding[0]) & (values <= rules.padding[1])
    counts[padded] = 0
    is_logarithm = header.text("PixelIntensityRelationship").upper() == _LOGARITHMIC
    table = densities(rules.slope * values + rules.intercept, counts, is_logarithm, _sign(header))
    table[padded] = 0
    return Shades(stored.view(words.dtype), table.astype(np.float32))


def densities(
    values: NDArray[np.float64], counts: NDArray[np.float64], is_logarithm: bool = False, sign: int = 1
) -> NDArray[np.float64]:
    """The picture's value for each raw value, by the formula of this module.

    Args:
        values: raw values, any order.
        counts: how many pixels have each.
        is_logarithm: whether the values are logarithms of the exposure.
        sign: 1 where a higher value is more exposure, -1 where it is less.

    Returns:
        float64 in [0, 1], one for each of `values`; all 0 where the pixels are of one value.
    """
    if not is_logarithm:
        values = np.log(np.maximum(values, 1))
    elif sign < 0:
        values = -values
    y = np.maximum(0, _percentile(values, counts, AIR_PERCENTILE) - values)
    densest = _percentile(y, counts, DENSEST_PERCENTILE)
    return np.minimum(1, y / densest) if densest > 0 else np.zeros_like(y)


def _percentile(values: NDArray[np.float64], counts: NDArray[np.float64], percent: float) -> float:
    """The smallest value at or below which `percent` of the pixels are; 0 without a pixel."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    if not len(below) or below[-1] == 0:
        return 0.0
    return float(values[order[np.searchsorted(below, percent / 100 * below[-1])]])
