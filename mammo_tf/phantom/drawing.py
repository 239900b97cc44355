"""One view of one breast: millimetres of fat, gland and calcium along the beam, and where the findings are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.phantom.anatomy import Breast, Floats, Strands
from mammo_tf.phantom.ink import Ink, Lump, PlacedFinding, Specks
from mammo_tf.phantom.projection import glandular_share, make_outline, to_picture

LINE_STEPS_MM = 4.0  # thickness that the brightest drawn line stands for
SUBPIXEL_BITS = 4
TAPER_STEPS = 4  # pieces in which a thread grows thinner


@dataclass(frozen=True)
class ViewTruth:
    """A finding in a view: its outline as polygon, (column, row) in mm of a left picture, float64 [corners, 2]."""

    finding: PlacedFinding
    contour_mm: NDArray[np.float64]
    centre_mm: tuple[float, float]


@dataclass(frozen=True)
class Projection:
    """What the beam passes in one view, for a left breast; all maps float32 [rows, columns].

    Args:
        thickness_mm: compressed thickness, 0 outside the breast.
        gland_mm: the part of it that is fibroglandular tissue, skin or muscle; the rest is fat.
        calcium_mm: calcium on top.
        muscle: share of pectoral muscle.
        spacing_mm: of the maps.
        compressed_mm: nominal compressed thickness.
        findings: where the findings are.
    """

    thickness_mm: Floats
    gland_mm: Floats
    calcium_mm: Floats
    muscle: Floats
    spacing_mm: float
    compressed_mm: float
    findings: tuple[ViewTruth, ...]


def project(breast: Breast, ink: Ink, view: str, spacing_mm: float, rng: np.random.Generator) -> Projection:
    """Projects a breast and its ink into a view, on the whole field at `spacing_mm`."""
    outline = make_outline(breast.woman, view, spacing_mm)
    share = glandular_share(breast, view, spacing_mm, rng)
    inner = outline.thickness_mm - outline.skin_mm
    added = draw_threads(breast.strands, view, spacing_mm, share.shape)
    added += draw_threads(ink.threads, view, spacing_mm, share.shape)
    masks = []
    for lump in ink.lumps:
        masks.append(draw_lump(added, lump, view, spacing_mm, rng))
    full = inner / np.float32(breast.woman.thickness_mm(view) - 3.0)
    gland = inner * (share * (1 - outline.muscle) + outline.muscle) + added * full
    np.minimum(gland, inner, out=gland)
    gland += outline.skin_mm
    calcium = draw_specks(ink.specks, draw_turns(ink.specks, rng), view, spacing_mm, share.shape)
    calcium *= outline.thickness_mm > 0
    truths = tuple(_truth(finding, ink, masks, view, spacing_mm) for finding in ink.findings)
    thickness = breast.woman.thickness_mm(view)
    return Projection(outline.thickness_mm, gland, calcium, outline.muscle, spacing_mm, thickness, truths)


def piece_bounds(strands: Strands) -> NDArray[np.int64]:
    """First point of each piece that a thread is drawn in, and the last point of all; int64 [pieces + 1]."""
    pieces = min(TAPER_STEPS, strands.points.shape[1] - 1)
    return np.linspace(0, strands.points.shape[1] - 1, pieces + 1).round().astype(np.int64)


def draw_threads(
    strands: Strands, view: str, spacing_mm: float, shape: tuple[int, ...], chosen: NDArray[np.bool_] | None = None
) -> Floats:
    """Thickness of thin threads, mm, float32 [rows, columns]; a thread thinner than a pixel is drawn fainter.

    Threads grow thinner and fainter from their first point to their last, to `strands.taper` of what they were.

    Args:
        chosen: which pieces to draw, bool [threads, pieces]; all by default.
    """
    pixels = to_picture(strands.points, view) / spacing_mm - 0.5
    corners = np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)
    bounds = piece_bounds(strands)
    pieces = len(bounds) - 1
    left = 1 - (1 - strands.taper) * (np.arange(pieces) + 0.5) / pieces
    wide = strands.widths_mm[:, None] * left / spacing_mm
    pens = np.maximum(np.round(wide), 1).astype(int)
    heights = strands.heights_mm[:, None] * left
    levels = np.minimum(np.round(heights * np.minimum(wide / pens, 1.5) * (np.pi / 4 * 255 / LINE_STEPS_MM)), 255)
    total = np.zeros(shape, dtype=np.float32)
    # Two layers, so that crossing threads add up in half of all cases.
    for half in (0, 1):
        layer = np.zeros(shape, dtype=np.uint8)
        for piece in range(pieces - 1, -1, -1):
            for thread in range(half, len(corners), 2):
                if chosen is not None and not chosen[thread, piece]:
                    continue
                line = corners[thread, bounds[piece] : bounds[piece + 1] + 1]
                pen, level = int(pens[thread, piece]), float(levels[thread, piece])
                cv2.polylines(layer, [line], False, level, pen, cv2.LINE_AA, SUBPIXEL_BITS)
        total += layer
    total *= np.float32(LINE_STEPS_MM / 255)
    return cv2.GaussianBlur(total, (0, 0), max(0.2 / spacing_mm, 0.3))


def draw_lump(added: Floats, lump: Lump, view: str, spacing_mm: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Adds a lump's thickness to `added` (mm) and returns its mask, uint8 [rows, columns]."""
    column, row = to_picture(np.array(lump.position_mm), view)
    reach = max(lump.radii_mm) * 1.7 + 1.0
    mask = np.zeros(added.shape, dtype=np.uint8)
    top, bottom = (int(np.clip((row + side * reach) / spacing_mm, 0, added.shape[0])) for side in (-1, 1))
    left, right = (int(np.clip((column + side * reach) / spacing_mm, 0, added.shape[1])) for side in (-1, 1))
    down = ((np.arange(top, bottom) + 0.5) * spacing_mm - row)[:, None]
    across = ((np.arange(left, right) + 0.5) * spacing_mm - column)[None, :]
    turn = lump.angle + rng.uniform(-0.5, 0.5)
    first = across * np.cos(turn) + down * np.sin(turn)
    second = down * np.cos(turn) - across * np.sin(turn)
    level = np.hypot(first / lump.radii_mm[0], second / lump.radii_mm[1])
    if lump.waves.any():
        around = np.arctan2(second, first)
        border = np.ones_like(level)
        for order, (size, phase) in enumerate(lump.waves, 2):
            border += size * np.cos(order * around + phase)
        level = level / np.maximum(border, 0.4)
    profile = np.maximum(1 - level**2, 0) ** 0.75
    if lump.hilum:
        notch = np.hypot((first - 0.35 * lump.radii_mm[0]) / lump.radii_mm[0], second / lump.radii_mm[1])
        profile *= 1 - 0.8 * np.exp(-((notch / 0.42) ** 2))
    added[top:bottom, left:right] += (lump.height_mm * profile).astype(np.float32)
    mask[top:bottom, left:right] = level < 1
    return mask


def draw_turns(specks: Specks, rng: np.random.Generator) -> NDArray[np.float64]:
    """How each speck is turned in a view, radians, float64 [specks]."""
    return rng.uniform(0, np.pi, len(specks.diameters_mm))


def draw_specks(
    specks: Specks, turn: NDArray[np.float64], view: str, spacing_mm: float, shape: tuple[int, ...]
) -> Floats:
    """Calcium along the beam, mm, float32 [rows, columns]; the volume of every speck is kept at any pixel size.

    Args:
        turn: see `draw_turns`.
    """
    total = np.zeros(shape, dtype=np.float32)
    if not len(specks.diameters_mm):
        return total
    centres = to_picture(specks.positions_mm, view) / spacing_mm - 0.5
    size = specks.diameters_mm / spacing_mm / 3.2
    stretch = np.sqrt(specks.elongation)
    along, across = np.maximum(size * stretch, 0.4), np.maximum(size / stretch, 0.4)
    reach = int(np.ceil(3 * along.max()))
    offset = np.arange(-reach, reach + 1)
    rows = np.round(centres[:, 1]).astype(int)[:, None, None] + offset[None, :, None]
    columns = np.round(centres[:, 0]).astype(int)[:, None, None] + offset[None, None, :]
    down, right = rows - centres[:, 1, None, None], columns - centres[:, 0, None, None]
    cosine, sine = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    first, second = right * cosine + down * sine, down * cosine - right * sine
    drawn = np.exp(-0.5 * ((first / along[:, None, None]) ** 2 + (second / across[:, None, None]) ** 2))
    volume = np.pi / 6 * specks.diameters_mm**3 / spacing_mm**2
    drawn *= (volume / drawn.sum(axis=(1, 2)))[:, None, None]
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    np.add.at(total, (rows[inside], columns[inside]), drawn[inside].astype(np.float32))
    return total


def _truth(finding: PlacedFinding, ink: Ink, masks: list[NDArray[np.uint8]], view: str, spacing_mm: float) -> ViewTruth:
    centre = to_picture(np.array(finding.position_mm), view)
    if finding.lump is not None and masks[finding.lump].any():
        outlines, _ = cv2.findContours(masks[finding.lump], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        contour = (max(outlines, key=cv2.contourArea)[:, 0].astype(np.float64) + 0.5) * spacing_mm
    elif finding.specks:
        points = to_picture(ink.specks.positions_mm[list(finding.specks)], view)
        margin = 1.0 + ink.specks.diameters_mm[list(finding.specks)].max() / 2
        ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        around = points[:, None, :] + margin * np.stack([np.cos(ring), np.sin(ring)], axis=1)[None]
        contour = cv2.convexHull(around.reshape(-1, 2).astype(np.float32))[:, 0].astype(np.float64)
        centre = points.mean(axis=0)
    else:
        ring = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        contour = centre + finding.reach_mm * np.stack([np.cos(ring), np.sin(ring)], axis=1)
    return ViewTruth(finding, contour, (float(centre[0]), float(centre[1])))
