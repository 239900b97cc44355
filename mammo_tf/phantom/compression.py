"""Where a place of the breast comes to lie over the detector when it is compressed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mammo_tf.phantom.anatomy import DEPTH_VOXELS, PLANE_VOXELS, STRETCH, VOXEL_MM, Breast, Floats, plane_coordinates
from mammo_tf.phantom.projection import ANGLES, LEAST_CHORD_MM, NIPPLE_ROW_MM, Outline, column_sums

STEP_MM = 4.0  # of the sums through the uncompressed volume
BOUNDS_MM = tuple(float(at) for at in np.arange(-PLANE_VOXELS / 2, PLANE_VOXELS / 2 + 0.01, STEP_MM / VOXEL_MM))


class Compression:
    """The compressed breast of a view: each column along the beam is squeezed evenly to the outline's thickness.

    A column that is thinner than the breast, at its rounded edge, lies around the middle height.

    Args:
        breast, view, outline: of the projection.
        spacing_mm: of the outline.
    """

    def __init__(self, breast: Breast, view: str, outline: Outline, spacing_mm: float) -> None:
        self.view = view
        self.total_mm = breast.woman.thickness_mm(view)
        self._gland = _sums_below(breast.tissue, view)
        self._chord = _sums_below(breast.inside, view)
        self._local_mm = _at_columns(outline.thickness_mm, view, spacing_mm)

    def shares(self, bounds_mm: NDArray[np.float64]) -> Floats:
        """Glandular share of the voxels' columns between heights, of the whole column; float32 [bounds - 1, up, x].

        Args:
            bounds_mm: heights over the detector, rising.
        """
        chord = self._chord[-1]
        below = (self.total_mm - self._local_mm) / 2
        sums = []
        for bound in bounds_mm:
            way = np.clip((bound - below) / np.maximum(self._local_mm, 1e-3), 0, 1)
            sums.append(_where_reached(self._chord, way * chord, self._gland))
        return np.diff(np.stack(sums), axis=0) / np.maximum(chord, np.float32(LEAST_CHORD_MM))

    def heights(self, points: NDArray) -> NDArray[np.float64]:
        """Height over the detector of points of the breast's frame [..., 3], mm, float64 [...]."""
        points = np.asarray(points, dtype=np.float64)
        angle = np.deg2rad(ANGLES[self.view])
        up = points[..., 1] * np.cos(angle) + points[..., 2] * np.sin(angle)
        beam = points[..., 2] * np.cos(angle) - points[..., 1] * np.sin(angle)
        at_up = np.clip(np.rint(up / VOXEL_MM + (PLANE_VOXELS - 1) / 2), 0, PLANE_VOXELS - 1).astype(int)
        at_x = np.clip(np.rint(points[..., 0] / VOXEL_MM - 0.5), 0, DEPTH_VOXELS - 1).astype(int)
        place = np.clip((beam - BOUNDS_MM[0]) / STEP_MM, 0, len(BOUNDS_MM) - 1.001)
        bound = place.astype(int)
        passed, after = self._chord[bound, at_up, at_x], self._chord[bound + 1, at_up, at_x]
        way = (passed + (place - bound) * (after - passed)) / np.maximum(self._chord[-1, at_up, at_x], 1e-3)
        local = self._local_mm[at_up, at_x]
        return np.asarray((self.total_mm - local) / 2 + np.clip(way, 0, 1) * local, dtype=np.float64)


@lru_cache(maxsize=2)
def _slab_sums(view: str) -> sparse.csr_array:
    """The sums along the beam from each of `BOUNDS_MM` to the next, [slab * up, y * z]."""
    slabs = zip(BOUNDS_MM[:-1], BOUNDS_MM[1:], strict=True)
    return sparse.csr_array(sparse.vstack([column_sums(view, bounds) for bounds in slabs]))


def _sums_below(volume: Floats, view: str) -> Floats:
    """Sums of a volume along the beam up to each of `BOUNDS_MM`, float32 [bounds, up, x]."""
    parts = (_slab_sums(view) @ volume.reshape(-1, DEPTH_VOXELS)).reshape(-1, PLANE_VOXELS, DEPTH_VOXELS)
    return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])


def _where_reached(rising: Floats, wanted: Floats, values: Floats) -> Floats:
    """`values` where `rising` reaches `wanted` along the first axis, linear between its steps."""
    at = np.clip((rising <= wanted).sum(axis=0) - 1, 0, len(rising) - 2)[None]
    low, high = np.take_along_axis(rising, at, 0)[0], np.take_along_axis(rising, at + 1, 0)[0]
    way = np.clip((wanted - low) / np.maximum(high - low, np.float32(1e-6)), 0, 1)
    first, second = np.take_along_axis(values, at, 0)[0], np.take_along_axis(values, at + 1, 0)[0]
    return np.asarray(first + way * (second - first), dtype=np.float32)


def _at_columns(picture: Floats, view: str, spacing_mm: float) -> Floats:
    """A map of the field at the places of the voxels' columns, [up, x]."""
    across = (np.arange(DEPTH_VOXELS) + 0.5) * VOXEL_MM * STRETCH
    rows = (NIPPLE_ROW_MM[view] - plane_coordinates() * STRETCH) / spacing_mm - 0.5
    rows = np.clip(np.rint(rows), 0, picture.shape[0] - 1).astype(int)
    columns = np.clip(np.rint(across / spacing_mm - 0.5), 0, picture.shape[1] - 1).astype(int)
    return picture[rows[:, None], columns[None, :]]
