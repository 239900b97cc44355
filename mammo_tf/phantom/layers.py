"""A compressed breast layer by layer: what its projection shows at once, at its height over the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mammo_tf.phantom.anatomy import DEPTH_VOXELS, PLANE_VOXELS, STRETCH, VOXEL_MM, Breast, Floats, plane_coordinates
from mammo_tf.phantom.drawing import (
    Projection,
    ViewTruth,
    draw_lump,
    draw_specks,
    draw_threads,
    thread_pieces,
    turns_of_specks,
)
from mammo_tf.phantom.ink import Ink, Lump, Specks
from mammo_tf.phantom.projection import (
    ANGLES,
    NIPPLE_ROW_MM,
    Outline,
    fine_texture,
    on_field,
    slab_sums,
    texture_strength,
    to_picture,
)

LAYER_MM = 3.0  # thickness of a layer, at most


@dataclass(frozen=True)
class Layers:
    """A breast in layers of equal height, from the detector upwards; all maps float32 [layers, rows, columns].

    Their sums are the maps of the `Projection` that they were made with.

    Args:
        thickness_mm: of the breast in each layer; at the rounded edge it lies around the middle height.
        gland_mm, calcium_mm: as of `Projection`, in each layer.
        heights_mm: middle of each layer over the detector, float64 [layers].
        findings_mm: height of each finding of the projection over the detector.
    """

    thickness_mm: Floats
    gland_mm: Floats
    calcium_mm: Floats
    heights_mm: NDArray[np.float64]
    findings_mm: tuple[float, ...]


class _Compression:
    """Where points of the breast's frame come to lie over the detector, in one view."""

    def __init__(self, breast: Breast, view: str, outline: Outline) -> None:
        self.view = view
        self.total_mm = breast.woman.thickness_mm(view)
        # Voxels before compression: [bounds, up, x], sums from below up to each bound.
        self.gland = _cumulated(breast.tissue, view)
        self.chord = _cumulated(breast.inside, view)
        self.local_mm = _on_voxels(outline.thickness_mm, view)

    def shares(self, bounds_mm: NDArray[np.float64]) -> Floats:
        """The part of the column's gland below each height, as a share of the column; [bounds, up, x]."""
        below = (self.total_mm - self.local_mm) / 2
        chord = self.chord[-1]
        found = []
        for bound in bounds_mm:
            way = np.clip((bound - below) / np.maximum(self.local_mm, 1e-3), 0, 1)
            found.append(_between(self.chord, way * chord, self.gland))
        return np.stack(found) / np.maximum(chord, 8.0)

    def heights(self, points: NDArray) -> NDArray[np.float64]:
        """Height over the detector of points of the breast's frame [..., 3], mm."""
        points = np.asarray(points, dtype=np.float64)
        angle = np.deg2rad(ANGLES[self.view])
        up = points[..., 1] * np.cos(angle) + points[..., 2] * np.sin(angle)
        beam = points[..., 2] * np.cos(angle) - points[..., 1] * np.sin(angle)
        rows = np.clip(np.rint(up / VOXEL_MM + (PLANE_VOXELS - 1) / 2), 0, PLANE_VOXELS - 1).astype(int)
        columns = np.clip(np.rint(points[..., 0] / VOXEL_MM - 0.5), 0, DEPTH_VOXELS - 1).astype(int)
        chords = self.chord[:, rows, columns]
        place = np.clip((beam - _BOUNDS_MM[0]) / _STEP_MM, 0, len(_BOUNDS_MM) - 1.001)
        at = place.astype(int)
        passed = np.take_along_axis(chords, at[None], 0)[0]
        after = np.take_along_axis(chords, at[None] + 1, 0)[0]
        way = (passed + (place - at) * (after - passed)) / np.maximum(chords[-1], 1e-3)
        local = self.local_mm[rows, columns]
        return np.asarray((self.total_mm - local) / 2 + np.clip(way, 0, 1) * local, dtype=np.float64)


_STEP_MM = 4.0
_BOUNDS_MM = np.arange(-PLANE_VOXELS / 2, PLANE_VOXELS / 2 + 1e-6, _STEP_MM) * VOXEL_MM


@lru_cache(maxsize=2)
def _slabs(view: str) -> sparse.csr_array:
    return slab_sums(view, tuple(_BOUNDS_MM))


def _cumulated(volume: Floats, view: str) -> Floats:
    parts = (_slabs(view) @ volume.reshape(-1, DEPTH_VOXELS)).reshape(-1, PLANE_VOXELS, DEPTH_VOXELS)
    return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])


def _between(places: Floats, wanted: Floats, values: Floats) -> Floats:
    """`values` where rising `places` reach `wanted`, linear between neighbours along the first axis; [up, x]."""
    at = np.clip((places <= wanted).sum(axis=0) - 1, 0, len(places) - 2)[None]
    low, high = np.take_along_axis(places, at, 0)[0], np.take_along_axis(places, at + 1, 0)[0]
    way = np.clip((wanted - low) / np.maximum(high - low, 1e-6), 0, 1)
    first, second = np.take_along_axis(values, at, 0)[0], np.take_along_axis(values, at + 1, 0)[0]
    return np.asarray(first + way * (second - first))


def _on_voxels(picture: Floats, view: str) -> Floats:
    """A map of the field at the places of the voxels' columns; [up, x]."""
    spacing_mm = _field_spacing(picture)
    up = plane_coordinates()
    rows = np.clip((NIPPLE_ROW_MM[view] - up * STRETCH) / spacing_mm - 0.5, 0, picture.shape[0] - 1)
    across = (np.arange(DEPTH_VOXELS) + 0.5) * VOXEL_MM * STRETCH
    columns = np.clip(across / spacing_mm - 0.5, 0, picture.shape[1] - 1)
    return picture[np.rint(rows).astype(int)[:, None], np.rint(columns).astype(int)[None, :]]
