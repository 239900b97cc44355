"""From the breast's frame to the two views: compression, outline, pectoral muscle, millimetres of tissue.

A picture's frame, in mm: `column` from the chest wall, `row` from the upper edge, both for a left breast (chest wall
at the left edge); right breasts are mirrored when they are stored. Rows run downwards: medial in CC, inferior-medial
in MLO. All views are made on one field, `FIELD_MM`, from which machines cut theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from mammo_tf.phantom.anatomy import (
    DEPTH_VOXELS,
    LONGEST_WAVE_MM,
    NOISE_EXPONENT,
    PLANE_VOXELS,
    SKIN_MM,
    STRETCH,
    VOXEL_MM,
    Breast,
    Floats,
    Woman,
    plane_coordinates,
)

FIELD_MM = (216.0, 168.0)
ANGLES = {"CC": 0.0, "MLO": 45.0}
NIPPLE_ROW_MM = {"CC": 108.0, "MLO": 128.0}
VIEWS = tuple(ANGLES)
VOLUME_CUTOFF = 0.18  # cycles/mm of the picture: here the volume hands over to the fine texture
LEAST_CHORD_MM = 8.0  # a shorter column counts as so long, before compression
FAT_TEXTURE = 0.004  # fine texture that even plain fat has, as a share of the column


@dataclass(frozen=True)
class Outline:
    """Where the breast is in a view; all float32 [rows, columns].

    Args:
        thickness_mm: compressed thickness, 0 outside.
        skin_mm: the part of it that is skin.
        muscle: share of the column that is pectoral muscle, [0, 1].
    """

    thickness_mm: Floats
    skin_mm: Floats
    muscle: Floats


def to_picture(points: NDArray, view: str) -> NDArray[np.float64]:
    """Points of the breast's frame [..., 3] as (column, row) in a left picture, mm, float64 [..., 2]."""
    points = np.asarray(points, dtype=np.float64)
    angle = np.deg2rad(ANGLES[view])
    up = points[..., 1] * np.cos(angle) + points[..., 2] * np.sin(angle)
    return np.stack([points[..., 0] * STRETCH, NIPPLE_ROW_MM[view] - up * STRETCH], axis=-1)


@lru_cache(maxsize=8)
def column_sums(view: str, depth_mm: tuple[float, float] | None = None) -> sparse.csr_array:
    """The sums along the beam as a sparse matrix [up, y * z]: times a volume [y * z, x] it gives [up, x].

    Each sum walks through the volume in steps of a voxel, with linear interpolation between voxels.

    Args:
        view: CC or MLO.
        depth_mm: bounds along the beam, from the nipple's axis and before compression, for slabs of a volume.
    """
    plane = plane_coordinates().astype(np.float64)
    angle = np.deg2rad(ANGLES[view])
    up, beam = np.meshgrid(plane, plane, indexing="ij")
    y = (up * np.cos(angle) - beam * np.sin(angle)) / VOXEL_MM + (PLANE_VOXELS - 1) / 2
    z = (up * np.sin(angle) + beam * np.cos(angle)) / VOXEL_MM + (PLANE_VOXELS - 1) / 2
    wanted = np.ones(up.shape, dtype=bool) if depth_mm is None else (beam >= depth_mm[0]) & (beam < depth_mm[1])
    rows = np.repeat(np.arange(PLANE_VOXELS), PLANE_VOXELS).reshape(up.shape)
    places, values, lines = [], [], []
    for step_y in (0, 1):
        for step_z in (0, 1):
            at_y, at_z = np.floor(y).astype(int) + step_y, np.floor(z).astype(int) + step_z
            weight = (1 - np.abs(y - at_y)) * (1 - np.abs(z - at_z)) * VOXEL_MM
            kept = wanted & (weight > 1e-9)
            for index in (at_y, at_z):
                kept &= (index >= 0) & (index < PLANE_VOXELS)
            lines.append(rows[kept])
            places.append(at_y[kept] * PLANE_VOXELS + at_z[kept])
            values.append(weight[kept])
    entries = (np.concatenate(values).astype(np.float32), (np.concatenate(lines), np.concatenate(places)))
    return sparse.csr_array(entries, shape=(PLANE_VOXELS, PLANE_VOXELS**2))


def grid(spacing_mm: float) -> tuple[Floats, Floats]:
    """Centres of the pixels of the whole field: columns [1, columns] and rows [rows, 1], mm."""
    rows, columns = (round(length / spacing_mm) for length in FIELD_MM)
    across = ((np.arange(columns) + 0.5) * spacing_mm).astype(np.float32)[None, :]
    return across, ((np.arange(rows) + 0.5) * spacing_mm).astype(np.float32)[:, None]


def pectoral_edge(woman: Woman, row_mm: NDArray) -> NDArray:
    """Column of the pectoral muscle's edge in an MLO picture, mm, for rows in mm; negative below its end."""
    end = woman.pectoral_reach * (NIPPLE_ROW_MM["MLO"] + woman.half_width_mm)
    way = row_mm / end
    return woman.pectoral_top_mm * (1 - way) * (1 + 0.25 * way)


def make_outline(woman: Woman, view: str, spacing_mm: float) -> Outline:
    """The compressed breast in a view: D-shaped, rounded at the edge, with nipple, axillary tail and muscle in MLO."""
    column, row = grid(spacing_mm)
    up = NIPPLE_ROW_MM[view] - row
    edge = np.maximum(1 - np.abs(up / woman.half_width_mm) ** woman.roundness, 0) ** (1 / woman.roundness)
    edge = edge * woman.depth_mm
    if view == "MLO":
        # Above the nipple the outline falls slowly from the D to the tail, and never below the D.
        way = np.clip(up / (1.25 * woman.half_width_mm), 0, 1)
        tail = woman.depth_mm + (woman.tail_mm - woman.depth_mm) * way**2 * (3 - 2 * way)
        edge = np.where(up > 0, np.maximum(edge, tail), edge)
    nipple = 4.5 * np.exp(-((up / 4.2) ** 4))
    mask = (column < edge + nipple).astype(np.uint8)
    # The field's edges other than the nipple's side cut the breast, they do not round it.
    padded = cv2.copyMakeBorder(mask, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[2:-2, 2:-2] * np.float32(spacing_mm)
    thickness = np.float32(woman.thickness_mm(view))
    roll = np.float32(0.42) * thickness

    def dome(depth: Floats, width: Any) -> Floats:
        return np.sqrt(1 - (1 - np.clip(depth / np.float32(width), 0, 1)) ** 2)

    total = thickness * dome(distance, roll)
    inner = (thickness - 2 * SKIN_MM) * dome(distance - SKIN_MM, roll - SKIN_MM)
    muscle = np.zeros_like(total)
    if view == "MLO":
        bulge = np.clip((pectoral_edge(woman, row) - column) / 14.0, 0, 1)
        muscle = (0.6 * np.sqrt(bulge) * (total > 0)).astype(np.float32)
    return Outline(total, total - inner, muscle)


@lru_cache(maxsize=4)
def _fine_amplitude(rows: int, columns: int, spacing_mm: float) -> tuple[Floats, float]:
    """Amplitude of the fine texture, and its standard deviation for a power law of the band used to set it."""
    down, across = fft.fftfreq(rows, spacing_mm)[:, None], fft.rfftfreq(columns, spacing_mm)[None, :]
    frequency = np.maximum(np.hypot(down, across), STRETCH / LONGEST_WAVE_MM / 4)
    law = frequency ** (-NOISE_EXPONENT)
    handed_over = 1 - np.exp(-np.log(2) * (frequency / VOLUME_CUTOFF) ** 2 * 2)
    fine = law * handed_over
    band = law * _band_response(frequency) ** 2
    weights = np.full(law.shape, 2.0)
    weights[:, 0] = 1.0
    fine[0, 0] = band[0, 0] = 0.0
    scale = (band * weights).sum()
    return np.sqrt(fine / (fine * weights).sum()).astype(np.float32), float(np.sqrt((fine * weights).sum() / scale))


BAND_MM = (1.4, 2.8)  # the two Gaussians whose difference picks out the band that both textures have


def _band_response(frequency: NDArray) -> NDArray:
    narrow, wide = (np.exp(-2 * (np.pi * sigma * frequency) ** 2) for sigma in BAND_MM)
    return narrow - wide


def fine_texture(rng: np.random.Generator, shape: tuple[int, int], spacing_mm: float) -> tuple[Floats, float]:
    """What the volume's voxels are too coarse for: 2D noise of the same power law, standard deviation 1.

    Returns:
        noise: float32 [rows, columns].
        ratio: its standard deviation over that of the band between `BAND_MM`, if one power law rules both.
    """
    rows, columns = (fft.next_fast_len(length, real=True) for length in shape)
    amplitude, ratio = _fine_amplitude(rows, columns, spacing_mm)
    parts = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0]
    spectrum *= amplitude
    noise = fft.irfft2(spectrum, (rows, columns), overwrite_x=True)[: shape[0], : shape[1]]
    return noise / noise.std(), ratio


def glandular_share(breast: Breast, view: str, spacing_mm: float, rng: np.random.Generator) -> Floats:
    """Share of each column that is fibroglandular tissue, float32 [rows, columns] in [0, 1], fine texture included."""
    sums = column_sums(view)
    gland = sums @ breast.tissue.reshape(-1, DEPTH_VOXELS)
    chord = sums @ breast.inside.reshape(-1, DEPTH_VOXELS)
    coarse = gland / np.maximum(chord, LEAST_CHORD_MM)
    share = on_field(coarse, view, spacing_mm, cv2.INTER_CUBIC)
    noise, ratio = fine_texture(rng, share.shape, spacing_mm)
    share += noise * texture_strength(coarse, ratio, view, spacing_mm)
    return np.clip(share, 0.0, 1.0, out=share)


def on_field(coarse: Floats, view: str, spacing_mm: float, interpolation: int) -> Floats:
    """A map of the voxels' columns [up, x] on the whole field, float32 [rows, columns]."""
    column, row = grid(spacing_mm)
    scale = VOXEL_MM * STRETCH / spacing_mm
    # Picture pixel -> voxel of the coarse picture, whose first axis points up.
    inverse = np.array(
        [
            [1 / scale, 0, 0.5 / scale - 0.5],
            [0, -1 / scale, (PLANE_VOXELS - 1) / 2 + (NIPPLE_ROW_MM[view] / spacing_mm - 0.5) / scale],
        ]
    )
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse, inverse, (column.size, row.size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def texture_strength(coarse: Floats, ratio: float, view: str, spacing_mm: float) -> Floats:
    """Standard deviation of the fine texture, so that it goes on where the volume's texture ends; [rows, columns].

    Args:
        coarse: glandular share of the voxels' columns, [up, x].
        ratio: see `fine_texture`.
    """
    step = VOXEL_MM * STRETCH
    band = cv2.GaussianBlur(coarse, (0, 0), BAND_MM[0] / step) - cv2.GaussianBlur(coarse, (0, 0), BAND_MM[1] / step)
    strength = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 8 / step))
    local = on_field(strength, view, spacing_mm, cv2.INTER_LINEAR)
    return local * np.float32(ratio) + np.float32(FAT_TEXTURE)
