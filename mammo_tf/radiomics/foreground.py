"""The breast as OpenBreast outlines it, in full-field digital views: for parity with features made by it.

`imaging.breast.segment` is what the package itself uses; it also reads films. Steps and answers:
`tests/golden/openbreast/README.md`, "Segmentation". Exact to the pixel given the lowest row of the contour, which
depends on where a program starts to trace. The pectoral line rests on Canny edges: MATLAB's definition is written here;
the golden line comes from Octave's, which differs, so a line found elsewhere can be given instead.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from scipy.optimize import curve_fit

from mammo_tf.errors import MammoError
from mammo_tf.radiomics.intensity import hazen

BINS = 1000
PEAK = 0.35  # of the highest bin
SKIN = 0.05  # of the highest bin: where the background's bell has fallen to this, the breast begins
POINTS = 100
EDGE = 8  # pixels from the picture's edge at which no contour is looked for
BEND = 0.05  # curvature from which the fold under the breast is cut off
BRIGHT = 0.95  # of the maximum: labels, left out when the side is told


class Line(NamedTuple):
    """The pectoral line y = slope x + intercept, pixels counted from 1, in the picture with the breast at the left."""

    slope: float
    intercept: float


class Foreground(NamedTuple):
    """An outlined breast.

    Attributes:
        mask: bool `[rows, columns]`, in the picture as given.
        threshold: grey level of the skin on the scale 0 to 1 between the picture's extremes.
        contour: float64 `[points, 2]`, x and y counted from 1, in the picture with the breast at the left.
        flipped: the breast was at the right.
        line: the pectoral line, None in a CC view.
    """

    mask: NDArray[np.bool_]
    threshold: float
    contour: NDArray[np.float64]
    flipped: bool
    line: Line | None


def foreground(image: ArrayLike, mlo: bool, line: Line | None = None) -> Foreground:
    """Outlines the breast in a digital view.

    Args:
        image: `[rows, columns]`, bright is dense, 0 to 4095 (what is outside is cut off).
        mlo: the view shows the pectoral muscle, which is taken off, and the fold below the breast may be.
        line: the pectoral line, if it is known; else it is looked for.

    Raises:
        MammoError: `pixels_wrong`; `breast_not_found` for a picture without a breast on a dark background.
    """
    pixels = np.clip(np.asarray(image, np.float64), 0, 4095)
    if pixels.ndim != 2 or pixels.max() == pixels.min():
        raise MammoError("pixels_wrong", "a picture without contrast has no breast", "Give [rows, columns] of a view")
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    flipped = _at_the_right(pixels)
    if flipped:
        pixels = pixels[:, ::-1]
    threshold = skin_threshold(pixels)
    mask = _cleaned(pixels >= max(threshold, 0.0))
    outline = contour(mask, cut=mlo)
    mask[int(np.floor(outline[:, 1].max() + 0.5)) - 1 :] = False
    if mlo:
        line = line or chest_line(pixels, outline)
        rows, columns = np.ogrid[1 : mask.shape[0] + 1, 1 : mask.shape[1] + 1]
        mask &= rows >= line.intercept + line.slope * columns
    return Foreground(mask[:, ::-1] if flipped else mask, threshold, outline, flipped, line if mlo else None)


def _at_the_right(pixels: NDArray[np.float64]) -> bool:
    dimmed = np.where(pixels > BRIGHT * pixels.max(), 0.0, pixels)
    half = pixels.shape[1] // 2
    return bool(dimmed[:, half:].sum() > dimmed[:, :half].sum())


def skin_threshold(pixels: NDArray[np.float64]) -> float:
    """Where a bell fitted to the background's peak of the histogram has fallen to a twentieth of the highest bin.

    Args:
        pixels: float64 `[rows, columns]` in [0, 1].
    """
    values = np.sort(pixels, axis=None)
    edges = np.linspace(values[0], values[-1], BINS)
    below = np.searchsorted(values, edges, side="left")
    counts = np.diff(np.append(below, len(values))).astype(np.float64)
    window = np.exp(-0.5 * (2.5 * np.arange(-12, 13) / 12) ** 2)
    height = np.convolve(counts, window, mode="same")
    height /= height.max()
    upper = min(float(values.mean()), max(hazen(values, 0.30), 0.2))
    dark = np.where(edges <= upper, height, 0.0)
    rising, falling = dark[1:-1] > dark[:-2], dark[1:-1] >= dark[2:]
    peaks = np.flatnonzero(rising & falling & (dark[1:-1] > PEAK)) + 1
    if not len(peaks):
        return float(edges[int(np.argmax(height < SKIN))])
    chosen = (height > PEAK) & (edges < upper)
    if len(peaks) > 1:
        between = height[peaks[0] : peaks[-1] + 1]
        chosen &= edges >= edges[peaks[0] + int(np.argmin(between))]
    return _skin_of_bell(edges[chosen], height[chosen])


def _skin_of_bell(levels: NDArray[np.float64], heights: NDArray[np.float64]) -> float:
    start = (heights.max(), levels[int(np.argmax(heights))], np.ptp(levels) / 2 or 1e-3)
    try:
        (top, centre, width), _ = curve_fit(_bell, levels, heights, p0=start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    except (RuntimeError, TypeError) as error:
        raise MammoError(
            "breast_not_found", "the background's peak of the histogram is not a bell", "Give a mask of your own"
        ) from error
    return float(centre + np.sqrt(width**2 * (np.log(top) - np.log(SKIN))))


def _bell(level: NDArray[np.float64], top: float, centre: float, width: float) -> NDArray[np.float64]:
    return np.asarray(top * np.exp(-(((level - centre) / width) ** 2)))


def _cleaned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part without artefacts and holes."""
    inner = mask.astype(np.uint8)
    inner[[0, -1]] = 0
    square = np.ones((5, 5), np.uint8)
    eroded = cv2.erode(inner, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    count, parts, facts, _ = cv2.connectedComponentsWithStats(eroded, connectivity=8)
    if count < 2:
        raise MammoError("breast_not_found", "no part of the picture is brighter than its background")
    largest = (parts == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    grown = cv2.dilate(largest, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    closed = cv2.dilate(grown, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    closed = cv2.erode(closed, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(ndimage.binary_fill_holes(closed), np.bool_)


def contour(mask: NDArray[np.bool_], cut: bool = False) -> NDArray[np.float64]:
    """A hundred smoothed points along the skin, from the top to the bottom.

    Args:
        mask: bool `[rows, columns]`, the breast at the left.
        cut: end at the fold under the breast, where the skin bends sharply near the chest wall.

    Returns:
        float64 `[points, 2]`, x and y counted from 1.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boundary = max(found, key=len)[:, 0].astype(np.float64)
    if cv2.contourArea(boundary.astype(np.float32), oriented=True) < 0:
        boundary = boundary[::-1]
    first = int(np.lexsort((boundary[:, 1], boundary[:, 0]))[0])
    boundary = np.concatenate([boundary[first:], boundary[: first + 1]]) + 1
    skin = boundary[(boundary[:, 1] > EDGE) & (boundary[:, 0] > EDGE) & (boundary[:, 1] < len(mask) - EDGE)]
    if len(skin) < 2:
        raise MammoError("breast_not_found", "what stands out of the background has no skin line")
    places = np.linspace(0, len(skin) - 1, POINTS)
    points = np.stack([_smooth(PchipInterpolator(np.arange(len(skin)), line)(places)) for line in skin.T], axis=1)
    last = _fold(points) if cut else None
    return points if last is None else points[: last + 1]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of five neighbours, of three and one at the ends."""
    reach = np.minimum(np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]), 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    return np.asarray((sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1))


def _fold(points: NDArray[np.float64]) -> int | None:
    """The point of the sharpest bend, where it lies low and near the chest wall."""
    slope = np.diff(points, axis=0)
    turn = np.diff(slope, axis=0)
    slope = slope[1:]
    bend = (slope[:, 0] * turn[:, 1] - slope[:, 1] * turn[:, 0]) / (slope**2).sum(axis=1) ** 1.5
    sharpest = int(np.nanargmin(bend))
    x, y = points[sharpest]
    low = x < 0.4 * points[:, 0].max() and y > 0.5 * points[:, 1].max()
    return sharpest if low and abs(bend[sharpest]) > BEND else None


def chest_line(pixels: NDArray[np.float64], outline: NDArray[np.float64]) -> Line:
    """The pectoral line by a Hough vote over 20 to 45 degrees on Canny edges (sigma 2) of the upper chest side.

    Args:
        pixels: float64 `[rows, columns]` in [0, 1], the breast at the left.
        outline: float64 `[points, 2]` as `contour` gives it.

    Raises:
        MammoError: `breast_not_found` where there is no edge to vote.
    """
    disc = np.asarray([[x * x + y * y <= 64 for x in range(-8, 9)] for y in range(-8, 9)], np.uint8)
    calm = cv2.GaussianBlur(cv2.dilate(pixels, disc), (5, 5), 1, borderType=cv2.BORDER_CONSTANT)
    rows = int(np.floor(0.6 * outline[:, 1].max() + 0.5))
    columns = int(np.floor(outline[outline[:, 1] < rows, 0].min() + 0.5))
    edges = canny(np.asarray(calm, np.float64))[:rows, :columns]
    y, x = np.nonzero(edges)
    inside = y + 1 <= rows - (rows - 1) * x / max(columns - 1, 1)
    x, y = x[inside] + 1, y[inside] + 1
    if not len(x):
        raise MammoError("breast_not_found", "the upper chest side shows no edge of a pectoral muscle")
    angles = np.linspace(np.deg2rad(20), np.deg2rad(45), 128)
    distances = np.linspace(1, min(edges.shape), 128)
    cells = np.searchsorted(distances, np.outer(x, np.cos(angles)) + np.outer(y, np.sin(angles)), side="right") - 1
    votes = np.zeros((len(angles), len(distances)), np.int64)
    for number, cell in enumerate(cells.T):
        votes[number] = np.bincount(cell[cell >= 0], minlength=len(distances))
    angle, distance = np.unravel_index(int(np.argmax(votes)), votes.shape)
    return Line(
        float(-1 / np.tan(angles[angle])),
        float(distances[distance] / np.sin(angles[angle])),
    )


def canny(pixels: NDArray[np.float64], sigma: float = 2.0) -> NDArray[np.bool_]:
    """Canny edges as MATLAB defines them: the upper threshold leaves 70 % of the pixels below, the lower is 0.4 of it.

    Args:
        pixels: float64 `[rows, columns]`.
        sigma: of the Gaussian, in pixels.
    """
    across, down = (
        ndimage.gaussian_filter(pixels, sigma, order=order, mode="nearest", truncate=4.0) for order in ((0, 1), (1, 0))
    )
    size = np.hypot(across, down)
    if size.max() == 0:
        return np.zeros(pixels.shape, np.bool_)
    size = size / size.max()
    counts = np.cumsum(np.histogram(size, bins=64, range=(0, 1))[0])
    high = (int(np.argmax(counts > 0.7 * size.size)) + 1) / 64
    thin = _thinned(size, across, down)
    parts, _ = ndimage.label(thin & (size > 0.4 * high), structure=np.ones((3, 3)))
    strong = np.unique(parts[thin & (size > high)])
    return np.asarray(np.isin(parts, strong[strong > 0]))


def _thinned(size: NDArray[np.float64], across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels not smaller than what lies before and behind them along the gradient, linear between neighbours."""
    rows, columns = np.indices(size.shape, dtype=np.float64)
    longer = np.maximum(np.maximum(np.abs(across), np.abs(down)), 1e-300)
    step_down, step_across = down / longer, across / longer
    sides = [
        ndimage.map_coordinates(size, [rows + sign * step_down, columns + sign * step_across], order=1, mode="constant")
        for sign in (-1, 1)
    ]
    return np.asarray((size >= sides[0]) & (size >= sides[1]) & (size > 0))
