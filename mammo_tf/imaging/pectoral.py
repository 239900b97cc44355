"""The pectoral muscle on MLO views: the straight line with the best edge, then the best path along it.

At a reduced 256 rows, with the chest wall on the left: every line from the top of the breast to the chest wall, 8 to 60
degrees from the vertical, is scored by how much darker the picture gets across it, from muscle to breast. Steps
are clipped at the 90th percentile of the picture's own gradients, so a fold does not outvote a long soft edge, and the
skin's own edge does not count. Around the best line a path is found by dynamic programming.

Measured on twelve expert outlines by `benchmarks/breast_segmentation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.breast import chest_wall_side, enlarged, reduced

ROWS = 256
BLUR = 2.5  # standard deviation in reduced pixels
SKIN = 5  # reduced pixels along the skin whose edges do not count
FAINT = 0.01  # of the breast's 99th percentile: a fainter step is not an edge, however even the picture
CORRIDOR = 13  # reduced pixels on each side of the line in which the path may run
BEND = 0.3  # price of a sidestep, in units of a full edge
CONVINCING = 0.2  # mean clipped step along the line, of the clip, below which there is no muscle


@dataclass(frozen=True)
class _Edges:
    """Gradients of the reduced breast, chest wall on the left: float32 `[rows, columns]` in units of the clip."""

    across: NDArray[np.float32]
    down: NDArray[np.float32]
    counts: NDArray[np.bool_]

    def step(self, x: NDArray[np.float64], y: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much darker it gets at (x, y) along `normal` `[..., 2]`, clipped to ±1; 0 outside the breast."""
        rows, columns = self.counts.shape
        inside = (x > -0.5) & (x < columns - 0.5) & (y > -0.5) & (y < rows - 0.5)
        column = np.clip(np.rint(x), 0, columns - 1).astype(np.intp)
        row = np.clip(np.rint(y), 0, rows - 1).astype(np.intp)
        darker = -(self.across[row, column] * normal[..., 0] + self.down[row, column] * normal[..., 1])
        return np.clip(darker, -1, 1) * (inside & self.counts[row, column])


def pectoral(pixels: NDArray[Any], mask: NDArray[np.bool_], chest_wall: str | None = None) -> NDArray[np.bool_] | None:
    """The pectoral muscle of an MLO view. Which views are MLO is for the caller to know.

    A CC view has no muscle, but may well have a fold or a dense part whose edge convinces: do not ask there.

    Args:
        pixels: `[rows, columns]`, bright is dense; floats in [0, 1], uint16 or uint8.
        mask: bool `[rows, columns]`, the breast as `breast.segment` gives it.
        chest_wall: `left` or `right`; seen in the mask by default.

    Returns:
        bool `[rows, columns]`, part of `mask`; None where no line convinces or the chest wall's side is not clear.

    Raises:
        MammoError: `pixels_wrong`.
    """
    side = chest_wall or chest_wall_side(mask)
    if side is None:
        return None
    picture = reduced(pixels, ROWS)
    small = cv2.resize(mask.astype(np.uint8), picture.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.bool_)
    if side == "right":
        picture, small = picture[:, ::-1], small[:, ::-1]
    rows, columns = np.flatnonzero(small.any(axis=1)), np.flatnonzero(small.any(axis=0))
    if rows.size < 16 or columns.size < 16:
        return None
    place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    breast = small[place]
    whole = _edges(np.ascontiguousarray(picture), small)
    edges = _Edges(whole.across[place], whole.down[place], whole.counts[place])
    line = _best_line(edges, breast)
    if line is None:
        return None
    found = np.zeros(small.shape, np.bool_)
    found[place] = _left_of(_best_path(edges, *line), breast)
    if side == "right":
        found = np.ascontiguousarray(found[:, ::-1])
    return enlarged(found, mask.shape) & mask


def _edges(picture: NDArray[np.float32], breast: NDArray[np.bool_]) -> _Edges:
    # A blur that takes in nothing from outside the breast, whose outermost pixels are half background.
    inside = _eroded(breast, 1).astype(np.float32)
    tissue = cv2.GaussianBlur(picture * inside, (0, 0), BLUR, borderType=cv2.BORDER_REPLICATE)
    blurred = tissue / np.maximum(cv2.GaussianBlur(inside, (0, 0), BLUR, borderType=cv2.BORDER_REPLICATE), 1e-3)
    across = np.asarray(cv2.Sobel(blurred, cv2.CV_32F, 1, 0))
    down = np.asarray(cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    counts = _eroded(breast, SKIN)
    clip = np.percentile(np.hypot(across, down)[counts], 90) if counts.any() else 0.0
    faintest = 8 * FAINT * np.percentile(picture[breast], 99) / (np.sqrt(2 * np.pi) * BLUR)  # Sobel sums eight pixels
    clip = max(float(clip), float(faintest), 1e-6)
    return _Edges(across / np.float32(clip), down / np.float32(clip), counts)


def _eroded(breast: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """The breast without a rim along the skin; at the picture's edge it continues."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.copyMakeBorder(breast.astype(np.uint8), radius, radius, radius, radius, cv2.BORDER_REPLICATE)
    return cv2.erode(wide, disc)[radius:-radius, radius:-radius].astype(np.bool_)


def _best_line(edges: _Edges, breast: NDArray[np.bool_]) -> tuple[float, float] | None:
    """(x at the top row, y at the chest wall) of the line with the largest sum of steps over the root of its length."""
    rows, columns = breast.shape
    at_top = np.flatnonzero(breast[: max(2, rows // 20)].any(axis=0))
    width = at_top[-1] + 1 if at_top.size else columns
    top, wall = np.meshgrid(np.arange(max(4.0, 0.05 * columns), 1.05 * width, 2.0), np.arange(0.12, 1.25, 0.012) * rows)
    slope = np.degrees(np.arctan2(top, wall))
    right = (slope > 8) & (slope < 60)
    if not right.any():
        return None
    top, wall = top[right], wall[right]
    length = np.hypot(top, wall)
    normal = np.stack([wall / length, top / length], axis=1)
    along = np.linspace(0.0, 1.0, 48)[None]
    x, y = top[:, None] * (1 - along), wall[:, None] * along
    steps = edges.step(x, y, normal[:, None, :])
    within = np.minimum(1.0, rows / wall)  # the rest of the line runs below the picture
    best = int(np.argmax(steps.mean(axis=1) * length / np.sqrt(within * length)))
    counted = max(1, np.count_nonzero(steps[best]))
    if steps[best].sum() / counted < CONVINCING:
        return None
    return float(top[best]), float(wall[best])


def _best_path(edges: _Edges, top: float, wall: float) -> NDArray[np.float64]:
    """The path near a line that gathers the largest steps: (x, y) `[points, 2]`, from the top to the chest wall."""
    length = np.hypot(top, wall)
    normal = np.array([wall, top]) / length
    along = np.linspace(0.0, 1.0, max(2, int(length)))
    line = np.stack([top * (1 - along), wall * along], axis=1)
    offsets = np.arange(-CORRIDOR, CORRIDOR + 1)
    places = line[:, None, :] + offsets[None, :, None] * normal
    price = 0.1 * np.abs(offsets) / CORRIDOR - edges.step(places[..., 0], places[..., 1], normal)
    total = price.copy()
    came_from = np.zeros(price.shape, np.intp)
    for point in range(1, len(line)):
        before = np.pad(total[point - 1], 1, constant_values=np.inf)
        options = np.stack([before[:-2] + BEND, before[1:-1], before[2:] + BEND])
        came_from[point] = np.argmin(options, axis=0) - 1
        total[point] += options.min(axis=0)
    chosen = [int(np.argmin(total[-1]))]
    for point in range(len(line) - 1, 0, -1):
        chosen.append(chosen[-1] + int(came_from[point, chosen[-1]]))
    offset = offsets[chosen[::-1]].astype(np.float64)
    smooth = cv2.GaussianBlur(offset[:, None], (0, 0), 6.0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(line + smooth * normal)


def _left_of(path: NDArray[np.float64], breast: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies between the path, its ends drawn on along its chord, and the corner of chest wall and top."""
    reach = 2.0 * max(breast.shape)
    chord = (path[-1] - path[0]) / np.hypot(*(path[-1] - path[0])) * reach
    start, end = path[0] - chord, path[-1] + chord
    corners = [[-reach, end[1]], [-reach, start[1]]]
    outline = np.vstack([start[None], path, end[None], corners])
    filled = np.zeros(breast.shape, np.uint8)
    cv2.fillPoly(filled, [np.rint(outline * 16).astype(np.int32)], 1, shift=4)
    return filled.astype(np.bool_) & breast
