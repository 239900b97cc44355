"""Findings, and the same ink without their arrangement.

Every breast gets the same kinds and amounts of ink: a lump or none, threads as thin as spicules, specks of calcium,
drawn from distributions that know nothing of the label. The label decides how they are arranged: spicules radiate
from the lump of a malignant mass and lie apart elsewhere, specks gather in a cluster or are strewn over the breast.
So brightness and amounts tell nothing; the arrangement does (METHODS, "matched ink").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from mammo_tf.phantom.anatomy import STRETCH, VOXEL_MM, Breast, Strands, Woman, inside_points
from mammo_tf.phantom.projection import NIPPLE_ROW_MM, pectoral_edge, to_picture

# At 1.0 a trained reader would miss a part of the findings. 2.4 was chosen, when masses were drawn a little smaller and
# fainter, because a network an eighth as wide as VGG16 learned it from 140 patients at 0.6 mm pixels, in one run; in a
# shorter one at 1.6 its patches did not yet tell positive from benign. It is for demos, which must say so.
DEFAULT_CONSPICUITY = 1.0
CONSPICUOUS = 2.4
PRESENT = {"mass only": 0.40, "cluster only": 0.35, "both": 0.25}
# METHODS, section D. Small to middle ones are the commonest, and the tails reach the limits: 90 % of the masses are
# 6.8 to 19.8 mm (median 11.8), 90 % of the clusters 5.6 to 15.9 mm (median 9.5).
MASS_MM = (6.0, 25.0)  # diameter of a disc of the mass's area
CLUSTER_MM = (5.0, 20.0)  # largest distance between two specks of a cluster
SCATTER_MM = 25.0  # by how much scattered benign calcifications lie wider than a cluster
SIZE_SHAPE = (1.3, 2.6)  # of the beta distribution between the limits


@dataclass(frozen=True)
class Lump:
    """A mass or an island of tissue, drawn in closed form.

    Args:
        position_mm: centre in the breast's frame, x, y, z.
        radii_mm: half axes in the plane of the picture.
        angle: of the first half axis, radians.
        height_mm: tissue added along the beam at the centre.
        waves: amplitude and phase of the outline's harmonics 2, 3, ...: float64 [harmonics, 2]; zeros are an oval.
        hilum: a lymph node's notch of fat.
    """

    position_mm: tuple[float, float, float]
    radii_mm: tuple[float, float]
    angle: float
    height_mm: float
    waves: NDArray[np.float64]
    hilum: bool = False


@dataclass(frozen=True)
class Specks:
    """Calcium: positions float64 [specks, 3] mm, diameters of a ball of equal volume mm, elongation 1-3."""

    positions_mm: NDArray[np.float64]
    diameters_mm: NDArray[np.float64]
    elongation: NDArray[np.float64]


@dataclass(frozen=True)
class PlacedFinding:
    """The truth about one finding: kind, label, centre in the breast's frame, and what of the ink belongs to it.

    `reach_mm` is the radius of a finding without a lump or specks; `lump` and `specks` index the ink.
    """

    kind: str
    label: str
    position_mm: tuple[float, float, float]
    reach_mm: float = 0.0
    lump: int | None = None
    specks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ink:
    """Everything drawn into one breast next to its own anatomy."""

    lumps: tuple[Lump, ...]
    threads: Strands
    specks: Specks
    findings: tuple[PlacedFinding, ...] = field(default=())


def place(rng: np.random.Generator, breast: Breast) -> NDArray[np.float64]:
    """A place for a finding, float64 [3] mm: inside, off the skin and the muscle, more often in gland than fat."""
    points = inside_points(rng, breast.woman, 40, 0.22, 0.82, 0.55)
    picture = to_picture(points, "MLO")
    free = picture[:, 0] > pectoral_edge(breast.woman, picture[:, 1]) + 8
    points = points[free] if free.any() else points
    last = np.array(breast.tissue.shape) - 1
    voxels = points[:, [1, 2, 0]] / VOXEL_MM + [last[0] / 2, last[1] / 2, -0.5]
    y, z, x = np.rint(np.clip(voxels, 0, last)).astype(int).T
    weight = 0.2 + breast.tissue[y, z, x]
    return points[rng.choice(len(points), p=weight / weight.sum())]


def draw_ink(rng: np.random.Generator, breast: Breast, label: str, conspicuity: float) -> Ink:
    """Ink for a breast with a label; amounts, sizes and contrasts are drawn alike for every label.

    Args:
        label: normal, benign, high_risk or malignant.
        conspicuity: scales sizes and contrasts together; 1 is the default study. Masses stay within `MASS_MM`.
    """
    present = rng.choice(list(PRESENT), p=list(PRESENT.values()))
    lump, threads = _draw_mass(rng, breast, conspicuity)
    diameters, extent = _draw_calcium(rng, conspicuity)
    where = place(rng, breast)
    nearby = where + rng.normal(0.0, 4.0, 3)
    findings: list[PlacedFinding] = []
    lumps: tuple[Lump, ...] = ()
    if present != "cluster only":
        lump, threads, found = _arrange_mass(rng, breast, label, where, lump, threads)
        lumps = (lump,)
        findings += found
    else:
        threads = _apart(rng, breast.woman, threads)
    specks = _specks_apart(rng, breast.woman, diameters)
    if present != "mass only":
        specks, found = _arrange_specks(rng, breast, label, nearby, diameters, extent)
        findings += found
    return Ink(lumps, threads, specks, tuple(findings))


def _draw_mass(rng: np.random.Generator, breast: Breast, conspicuity: float) -> tuple[Lump, Strands]:
    """A lump and its threads, both still at the origin; threads start at a lump's border and point outwards."""
    # A power of the place between the limits enlarges all and leaves none beyond or heaped up at a limit.
    diameter = _between(MASS_MM, float(rng.beta(*SIZE_SHAPE)) ** (1 / conspicuity))
    ratio = rng.uniform(0.68, 0.95)
    height = conspicuity * diameter * rng.uniform(0.32, 0.56)
    count = rng.integers(12, 25)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = rng.uniform(6, 14, count) * np.sqrt(conspicuity)
    start = direction * diameter * 0.36
    sideways = np.cross(direction, rng.normal(size=(count, 3)))
    way = np.linspace(0, 1, 5)[None, :, None]
    points = start[:, None, :] + direction[:, None, :] * (length[:, None, None] * way)
    points += sideways[:, None, :] * (0.12 * length[:, None, None] * way**2)
    widths = rng.uniform(0.55, 1.1, count) * np.sqrt(conspicuity)
    threads = Strands(
        (points / STRETCH).astype(np.float32),
        widths.astype(np.float32),
        (conspicuity * widths * rng.uniform(2.0, 3.2, count)).astype(np.float32),
        0.35,
    )
    radii = (diameter / 2 / np.sqrt(ratio), diameter / 2 * np.sqrt(ratio))
    return Lump((0.0, 0.0, 0.0), radii, float(rng.uniform(0, np.pi)), float(height), np.zeros((6, 2))), threads


def _irregular(rng: np.random.Generator) -> NDArray[np.float64]:
    size = rng.normal(0.0, 0.11, 6) / np.sqrt(np.arange(1, 7))
    return np.stack([size, rng.uniform(0, 2 * np.pi, 6)], axis=1)


def _arrange_mass(
    rng: np.random.Generator, breast: Breast, label: str, where: NDArray, lump: Lump, threads: Strands
) -> tuple[Lump, Strands, list[PlacedFinding]]:
    centre = _triple(where)
    waves = _irregular(rng)
    radial = replace(threads, points=threads.points + where.astype(np.float32))
    if label == "malignant":
        truth = PlacedFinding("mass", label, centre, lump=0)
        return replace(lump, position_mm=centre, waves=waves), radial, [truth]
    if label == "high_risk":
        reach = float(np.median(np.linalg.norm(threads.points[:, -1], axis=1))) * STRETCH
        elsewhere = place(rng, breast)
        truth = PlacedFinding("distortion", label, centre, reach_mm=reach)
        other = replace(lump, position_mm=_triple(elsewhere), waves=waves)
        return other, radial, [truth]
    loose = _apart(rng, breast.woman, threads)
    if label == "benign":
        node = bool(rng.random() < 0.25)
        truth = PlacedFinding("lymph_node" if node else "mass", label, centre, lump=0)
        return replace(lump, position_mm=centre, hilum=node), loose, [truth]
    return replace(lump, position_mm=centre, waves=waves), loose, []


def _apart(rng: np.random.Generator, woman: Woman, threads: Strands) -> Strands:
    """The same threads, each turned at random and strewn over the breast."""
    count = len(threads.points)
    middle = threads.points.mean(axis=1, keepdims=True)
    first = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0].astype(np.float32)
    turned = np.einsum("npk,nkj->npj", threads.points - middle, first)
    places = inside_points(rng, woman, count, 0.15, 0.9, 0.7).astype(np.float32)
    return replace(threads, points=turned + places[:, None, :])


def _draw_calcium(rng: np.random.Generator, conspicuity: float) -> tuple[NDArray[np.float64], float]:
    """Diameters of a breast's specks, mm, and the extent of a cluster of them, mm."""
    count = int(np.clip(np.exp(rng.normal(np.log(14), 0.5)), 5, 40))
    diameters = np.exp(rng.normal(np.log(0.37), 0.28, count)).clip(0.15, 0.6) * conspicuity
    return diameters, _between(CLUSTER_MM, float(rng.beta(*SIZE_SHAPE)))


def _specks_apart(rng: np.random.Generator, woman: Woman, diameters: NDArray) -> Specks:
    count = len(diameters)
    return Specks(inside_points(rng, woman, count, 0.1, 0.9, 0.7), diameters, rng.uniform(1, 2.5, count))


def _arrange_specks(
    rng: np.random.Generator, breast: Breast, label: str, where: NDArray, diameters: NDArray, extent: float
) -> tuple[Specks, list[PlacedFinding]]:
    count = len(diameters)
    everything = tuple(range(count))
    if label == "normal":
        return _specks_apart(rng, breast.woman, diameters), []
    if label == "benign":
        if rng.random() < 0.4:  # coarse: the same calcium in a few round lumps
            few = int(rng.integers(2, 5))
            diameters = np.full(few, (np.sum(diameters**3) / few) ** (1 / 3)) * rng.uniform(0.9, 1.1, few)
            positions = inside_points(rng, breast.woman, few, 0.2, 0.85, 0.55)
            found = [
                PlacedFinding("coarse_calcification", label, _triple(place_), specks=(index,))
                for index, place_ in enumerate(positions)
            ]
            return Specks(positions, diameters, np.ones(few)), found
        extent += SCATTER_MM
        kind, elongation = "scattered_calcifications", np.ones(count)
    elif label == "high_risk":  # amorphous: smaller and indistinct, the rest of the calcium lies apart
        kind, elongation = "amorphous_cluster", np.full(count, 1.2)
    else:
        kind, elongation = "pleomorphic_cluster", rng.uniform(1, 2.8, count)
    positions = _clustered(rng, breast.woman, where, extent, count)
    truth = PlacedFinding(kind, label, _triple(positions.mean(axis=0)), specks=everything)
    if label != "high_risk":
        return Specks(positions, diameters, elongation), [truth]
    rest = _specks_apart(rng, breast.woman, diameters * (1 - 0.75**3) ** (1 / 3))
    return (
        Specks(
            np.concatenate([positions, rest.positions_mm]),
            np.concatenate([diameters * 0.75, rest.diameters_mm]),
            np.concatenate([elongation, rest.elongation]),
        ),
        [truth],
    )


def _clustered(
    rng: np.random.Generator, woman: Woman, where: NDArray, extent: float, count: int
) -> NDArray[np.float64]:
    """Places around one place, the two farthest `extent` mm of the compressed breast apart (the skin may cut it)."""
    positions = rng.normal(size=(count, 3)) * rng.uniform(0.6, 1.0, 3)
    positions = where + positions * (extent / STRETCH / pdist(positions).max())
    deepest = (woman.depth_mm - 4) / STRETCH
    positions[:, 0] = positions[:, 0].clip(3, deepest)
    reach = (min(NIPPLE_ROW_MM.values()) - 6) / STRETCH
    positions[:, 1:] = positions[:, 1:].clip(-reach, reach)
    return positions


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share


def _triple(values: NDArray) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))
