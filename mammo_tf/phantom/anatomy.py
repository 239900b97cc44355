"""A breast in three dimensions: its parameters, its tissue volume, its strands.

The frame is that of the breast before compression, in millimetres, the same for left and right: `x` from the chest
wall to the nipple, `y` towards lateral, `z` towards superior; the nipple's axis is y = z = 0. Compression stretches
the plane of the picture by `STRETCH` and squeezes every column along the beam to the compressed thickness
(`projection.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[Any]  # float32 all through; OpenCV's annotations do not say so

VOXEL_MM = 1.0
PLANE_VOXELS = 144  # y and z, centred on the nipple's axis
DEPTH_VOXELS = 100  # x, from the chest wall
STRETCH = 1.15
NOISE_EXPONENT = 3.0  # power of the texture falls as 1 / frequency ** NOISE_EXPONENT
LONGEST_WAVE_MM = 90.0  # the power law is flat beyond this wavelength
SKIN_MM = 1.5

DENSITY_CLASSES = ("A", "B", "C", "D")
DENSITY_SHARES = (0.12, 0.38, 0.38, 0.12)
GLANDULAR_FRACTION = {"A": (0.03, 0.09), "B": (0.09, 0.19), "C": (0.19, 0.34), "D": (0.34, 0.52)}


@dataclass(frozen=True)
class Woman:
    """What the left and the right breast of a woman share; lengths in mm, of the compressed breast.

    Args:
        age: years, 40-79.
        density: class A-D.
        depth_mm: chest wall to nipple, 63-108.
        half_width_mm: half the height of the D, 57-78.
        thickness_cc_mm, thickness_mlo_mm: compressed thickness, 35-70.
        roundness: exponent of the outline, 2 is an ellipse.
        glandular_fraction: share of the volume that is fibroglandular.
        edge_softness: how gradually fat turns into gland, in standard deviations of the texture.
        strand_count: ligaments and vessels of a breast.
        strand_strength: factor on their thickness; log-normal between women.
        pectoral_top_mm: width of the pectoral muscle at the upper edge of an MLO picture.
        pectoral_reach: how far down it reaches, as a share of the way from the upper edge to the breast's lower edge.
        tail_mm: width of the axillary tail at the upper edge of an MLO picture.
    """

    age: int
    density: str
    depth_mm: float
    half_width_mm: float
    thickness_cc_mm: float
    thickness_mlo_mm: float
    roundness: float
    glandular_fraction: float
    edge_softness: float
    strand_count: int
    strand_strength: float
    pectoral_top_mm: float
    pectoral_reach: float
    tail_mm: float

    def thickness_mm(self, view: str) -> float:
        """Compressed thickness in a view, mm."""
        return self.thickness_cc_mm if view == "CC" else self.thickness_mlo_mm


@dataclass(frozen=True)
class Strands:
    """Thin threads of tissue (ligaments, vessels, spicules) as lines in the breast's frame.

    Args:
        points: float32 [threads, points, 3], mm.
        widths_mm: float32 [threads].
        heights_mm: float32 [threads], tissue along the beam in the middle of the thread's width, at its start.
        taper: width and height at the end of a thread, as a share of those at its start.
    """

    points: Floats
    widths_mm: Floats
    heights_mm: Floats
    taper: float


@dataclass(frozen=True)
class Breast:
    """One breast: `tissue` is the glandular share of each voxel, float32 [y, z, x] in [0, 1]; `inside` likewise."""

    woman: Woman
    laterality: str
    tissue: Floats
    inside: Floats
    strands: Strands


def draw_woman(rng: np.random.Generator, density: str, age: int) -> Woman:
    """A woman of given density class and age; dense breasts are a little smaller and thinner."""
    rank = DENSITY_CLASSES.index(density)
    thickness = float(np.clip(rng.normal(57 - 3.5 * rank, 7), 36, 69))
    depth = float(np.clip(rng.normal(88 - 3.5 * rank, 9), 63, 108))
    return Woman(
        age=age,
        density=density,
        depth_mm=depth,
        half_width_mm=float(np.clip(depth * rng.uniform(0.74, 0.86), 57, 78)),
        thickness_cc_mm=thickness,
        thickness_mlo_mm=float(np.clip(thickness * rng.uniform(0.95, 1.15), 35, 70)),
        roundness=float(rng.uniform(2.0, 2.4)),
        glandular_fraction=float(rng.uniform(*GLANDULAR_FRACTION[density])),
        edge_softness=float(rng.uniform(0.2, 0.4)),
        strand_count=int(rng.integers(60, 120)),
        strand_strength=float(np.exp(rng.normal(0.0, 0.35))),
        pectoral_top_mm=float(rng.uniform(32, 56)),
        pectoral_reach=float(rng.uniform(0.5, 0.78)),
        tail_mm=depth * float(rng.uniform(0.55, 0.72)),
    )


@lru_cache(maxsize=1)
def _noise_amplitude() -> Floats:
    plane = fft.fftfreq(PLANE_VOXELS, VOXEL_MM).astype(np.float32)
    depth = fft.rfftfreq(DEPTH_VOXELS, VOXEL_MM).astype(np.float32)
    square = plane[:, None, None] ** 2 + plane[None, :, None] ** 2 + depth[None, None, :] ** 2
    amplitude = np.maximum(square, LONGEST_WAVE_MM**-2) ** np.float32(-NOISE_EXPONENT / 4)
    amplitude[0, 0, 0] = 0.0
    return amplitude.astype(np.float32)


def power_law_volume(rng: np.random.Generator) -> Floats:
    """Gaussian noise of mean 0 and standard deviation 1, power ~ 1/f^3; float32 [y, z, x], periodic.

    Drawn in the frequency domain, so that one inverse transform is all it costs.
    """
    amplitude = _noise_amplitude()
    parts = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0]
    spectrum *= amplitude
    noise = fft.irfftn(spectrum, (PLANE_VOXELS, PLANE_VOXELS, DEPTH_VOXELS), overwrite_x=True)
    return noise / noise.std()


def plane_coordinates() -> Floats:
    """Centres of the voxels along y and z, mm, float32 [PLANE_VOXELS]."""
    return ((np.arange(PLANE_VOXELS) - (PLANE_VOXELS - 1) / 2) * VOXEL_MM).astype(np.float32)


def depth_coordinates() -> Floats:
    """Centres of the voxels along x, mm, float32 [DEPTH_VOXELS]."""
    return ((np.arange(DEPTH_VOXELS) + 0.5) * VOXEL_MM).astype(np.float32)


def skin_level(woman: Woman, x: NDArray, y: NDArray, z: NDArray) -> NDArray:
    """How far a point of the breast's frame is on its way to the skin: 0 at the chest wall's middle, 1 at the skin."""
    power = woman.roundness
    along = (np.maximum(x, 0) * STRETCH / woman.depth_mm) ** power
    return along + ((y**2 + z**2) * (STRETCH / woman.half_width_mm) ** 2) ** (power / 2)


def make_breast(rng: np.random.Generator, woman: Woman, laterality: str) -> Breast:
    """One breast of a woman: glandular tissue where power-law noise, favoured behind the nipple, passes a threshold.

    The threshold gives the woman's share of glandular tissue; under the skin and before the chest wall lies fat.
    """
    x, plane = depth_coordinates(), plane_coordinates()
    level = skin_level(woman, x[None, None, :], plane[:, None, None], plane[None, :, None]).astype(np.float32)
    inside = np.clip((1.0 - level) / np.float32(0.04), 0, 1)
    along = x * (STRETCH / woman.depth_mm)
    tilt = rng.normal(0.0, 0.15, 2)
    favour_along = (2.1 * along - 22.0 * np.maximum(0.26 - along, 0) ** 2).astype(np.float32)
    favour_across = ((0.35 + tilt[0]) * plane[:, None] + (0.15 + tilt[1]) * plane[None, :]).astype(
        np.float32
    ) / np.float32(woman.half_width_mm)
    field = power_law_volume(rng)
    field += favour_along
    field += favour_across[:, :, None]
    field -= np.float32(2.8) * level
    thin = (slice(None, None, 4), slice(None, None, 4), slice(None, None, 3))
    threshold = np.quantile(field[thin][level[thin] < 1], 1.0 - woman.glandular_fraction)
    field -= np.float32(threshold)
    field *= np.float32(-1.0 / woman.edge_softness)
    np.clip(field, -30, 30, out=field)
    np.exp(field, out=field)
    field += 1.0
    np.reciprocal(field, out=field)
    field *= np.clip((np.float32(0.93) - level) / np.float32(0.12), 0, 1)
    return Breast(woman, laterality, field, inside, _draw_strands(rng, woman))


def _draw_strands(rng: np.random.Generator, woman: Woman) -> Strands:
    """Curved ligaments and vessels: half of them run towards the nipple, half anywhere."""
    count, steps = woman.strand_count, 14
    start = inside_points(rng, woman, count, 0.02, 0.95, 0.85)
    heading = rng.normal(size=(count, 3))
    to_nipple = np.array([woman.depth_mm / STRETCH, 0.0, 0.0]) - start
    half = count // 2
    heading[:half] = to_nipple[:half] / np.linalg.norm(to_nipple[:half], axis=1, keepdims=True) + 0.35 * heading[:half]
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    length = rng.uniform(12, 45, count)
    bend = rng.normal(0.0, 0.13, (count, 1, 3)) + rng.normal(0.0, 0.16, (count, steps - 1, 3))
    path = heading[:, None, :] + np.cumsum(bend, axis=1)
    path *= (length / (steps - 1))[:, None, None] / np.linalg.norm(path, axis=2, keepdims=True)
    points = np.concatenate([start[:, None, :], start[:, None, :] + np.cumsum(path, axis=1)], axis=1)
    widths = np.exp(rng.normal(np.log(0.65), 0.4, count)).clip(0.25, 2.0)
    heights = woman.strand_strength * widths * rng.uniform(0.8, 2.0, count)
    return Strands(points.astype(np.float32), widths.astype(np.float32), heights.astype(np.float32), 0.7)


def inside_points(
    rng: np.random.Generator, woman: Woman, count: int, nearest: float, farthest: float, level: float
) -> NDArray[np.float64]:
    """Random points of the breast, float64 [count, 3], mm.

    Args:
        nearest, farthest: bounds of the depth from the chest wall, as a share of the way to the nipple.
        level: how near to the skin they may come, see `skin_level`.
    """
    found = np.empty((0, 3))
    radius = woman.half_width_mm / STRETCH
    while len(found) < count:
        draw = rng.uniform(-1, 1, (4 * count + 16, 3)) * radius
        draw[:, 0] = rng.uniform(nearest, farthest, len(draw)) * woman.depth_mm / STRETCH
        found = np.concatenate([found, draw[skin_level(woman, *draw.T) < level]])
    return found[:count]
