"""A compressed breast layer by layer: what its projection shows at once, at its height over the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.phantom.anatomy import Breast, Floats, Strands
from mammo_tf.phantom.compression import Compression
from mammo_tf.phantom.drawing import Projection, draw_lump, draw_specks, draw_threads, draw_turns, piece_bounds
from mammo_tf.phantom.ink import Ink, PlacedFinding, Specks
from mammo_tf.phantom.projection import Outline, fine_texture, make_outline, on_field, texture_strength

LAYER_MM = 3.0  # thickness of a layer, at most


@dataclass(frozen=True)
class Layers:
    """A breast in layers of equal height, from the detector upwards; all maps float32 [layers, rows, columns].

    Their sums over the layers are the maps of the projection that they were made with.

    Args:
        thickness_mm, gland_mm, calcium_mm: of each layer, see `Projection`.
        heights_mm: middle of each layer over the detector, float64 [layers].
        findings_mm: height of each finding of the projection over the detector.
    """

    thickness_mm: Floats
    gland_mm: Floats
    calcium_mm: Floats
    heights_mm: NDArray[np.float64]
    findings_mm: tuple[float, ...]


def make_layers(
    projection: Projection,
    breast: Breast,
    ink: Ink,
    view: str,
    view_rng: np.random.Generator,
    layer_rng: np.random.Generator,
) -> Layers:
    """Takes a projection apart into layers, by the depth of everything that was projected.

    Args:
        projection: made of the same breast and ink.
        view_rng: as it was when the projection was made, so that what was drawn then is drawn again.
        layer_rng: for the fine texture, which differs from layer to layer and adds up to the projection's.
    """
    spacing = projection.spacing_mm
    outline = make_outline(breast.woman, view, spacing)
    total = breast.woman.thickness_mm(view)
    bounds = np.linspace(0, total, int(np.ceil(total / LAYER_MM)) + 1)
    compression = Compression(breast, view, outline, spacing)
    thickness = _thickness(outline, total, bounds)
    share = _texture(compression, projection, view, bounds, view_rng, layer_rng)
    inner = outline.thickness_mm - outline.skin_mm
    parts = thickness / np.maximum(outline.thickness_mm, np.float32(1e-3))
    gland = inner * (share * (1 - outline.muscle) + parts * outline.muscle)
    full = inner / np.float32(total - 3.0)
    threads = _threads(breast.strands, compression, spacing, bounds, inner.shape)
    threads += _threads(ink.threads, compression, spacing, bounds, inner.shape)
    gland += threads * full
    for lump in ink.lumps:
        drawn = np.zeros_like(inner)
        draw_lump(drawn, lump, view, spacing, view_rng)
        height = float(compression.heights(np.array(lump.position_mm)))
        for layer, weight in enumerate(_overlap(height, max(lump.height_mm, 1.0), bounds)):
            if weight:
                gland[layer] += np.float32(weight) * drawn * full
    gland += _skin(outline, total, bounds)
    calcium = _specks(ink.specks, draw_turns(ink.specks, view_rng), compression, spacing, bounds, inner.shape)
    calcium *= outline.thickness_mm > 0
    findings = tuple(float(_height(truth.finding, ink, compression)) for truth in projection.findings)
    middles = (bounds[:-1] + bounds[1:]) / 2
    return Layers(thickness, _fitted(gland, projection.gland_mm, thickness), calcium, middles, findings)


def _thickness(outline: Outline, total: float, bounds: NDArray[np.float64]) -> Floats:
    low = (np.float32(total) - outline.thickness_mm) / 2
    return _between(low, low + outline.thickness_mm, bounds)


def _between(low: Floats, high: Floats, bounds: NDArray[np.float64]) -> Floats:
    """How much of each layer lies between two heights, mm, float32 [layers, rows, columns]."""
    edges = [np.clip(np.float32(bound), low, high) for bound in bounds]
    return np.stack([after - before for before, after in zip(edges[:-1], edges[1:], strict=True)])


def _skin(outline: Outline, total: float, bounds: NDArray[np.float64]) -> Floats:
    """Half of the skin lies under the breast, half above."""
    low = (np.float32(total) - outline.thickness_mm) / 2
    high, half = low + outline.thickness_mm, outline.skin_mm / 2
    return _between(low, low + half, bounds) + _between(high - half, high, bounds)


def _texture(
    compression: Compression,
    projection: Projection,
    view: str,
    bounds: NDArray[np.float64],
    view_rng: np.random.Generator,
    layer_rng: np.random.Generator,
) -> Floats:
    """Glandular share of the whole column in each layer, with fine texture of which the layers' sum is the view's."""
    spacing, shape = projection.spacing_mm, projection.thickness_mm.shape
    coarse = compression.shares(bounds)
    count = len(coarse)
    share = np.stack([on_field(layer, view, spacing, cv2.INTER_CUBIC) for layer in coarse])
    noise, ratio = fine_texture(view_rng, shape, spacing)
    own = np.stack([fine_texture(layer_rng, shape, spacing)[0] for _ in range(count)])
    own /= np.float32(np.sqrt(count))
    own += (noise - own.sum(axis=0)) / np.float32(count)
    share += own * texture_strength(coarse.sum(axis=0), ratio, view, spacing)
    return share


def _threads(
    strands: Strands, compression: Compression, spacing: float, bounds: NDArray[np.float64], shape: tuple[int, ...]
) -> Floats:
    ends = piece_bounds(strands)
    middles = strands.points[:, (ends[:-1] + ends[1:]) // 2]
    layers = _layer_of(compression.heights(middles), bounds)
    count = len(bounds) - 1
    return np.stack(
        [draw_threads(strands, compression.view, spacing, shape, layers == layer) for layer in range(count)]
    )


def _specks(
    specks: Specks,
    turns: NDArray[np.float64],
    compression: Compression,
    spacing: float,
    bounds: NDArray[np.float64],
    shape: tuple[int, ...],
) -> Floats:
    layers = _layer_of(compression.heights(specks.positions_mm), bounds)
    drawn = []
    for layer in range(len(bounds) - 1):
        chosen = layers == layer
        some = replace(
            specks,
            positions_mm=specks.positions_mm[chosen],
            diameters_mm=specks.diameters_mm[chosen],
            elongation=specks.elongation[chosen],
        )
        drawn.append(draw_specks(some, turns[chosen], compression.view, spacing, shape))
    return np.stack(drawn)


def _layer_of(heights: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(np.searchsorted(bounds, heights) - 1, 0, len(bounds) - 2)


def _overlap(height: float, extent: float, bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each layer in a thing of some extent along the beam; all of it stays inside the breast."""
    low = np.clip(height - extent / 2, bounds[0], max(bounds[-1] - extent, bounds[0]))
    edges = np.clip(bounds, low, low + extent)
    return np.asarray(np.diff(edges) / max(edges[-1] - edges[0], 1e-9))


def _height(finding: PlacedFinding, ink: Ink, compression: Compression) -> NDArray[np.float64]:
    points = ink.specks.positions_mm[list(finding.specks)] if finding.specks else np.array([finding.position_mm])
    if finding.lump is not None:
        points = np.array([ink.lumps[finding.lump].position_mm])
    return np.asarray(compression.heights(points).mean())


def _fitted(parts: Floats, total: Floats, room: Floats) -> Floats:
    """Parts changed as little as may be so that each lies in [0, room] and their sum is the total."""
    fitted = np.clip(parts, 0, room)
    found = fitted.sum(axis=0)
    lack = np.maximum(total - found, 0)
    free = room - fitted
    fitted += free * (lack / np.maximum(free.sum(axis=0), np.float32(1e-6)))
    fitted *= np.minimum(total / np.maximum(found, np.float32(1e-6)), 1)
    return fitted
