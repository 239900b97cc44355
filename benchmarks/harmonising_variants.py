"""Ways to carry pictures of a machine to the look of another, the shipped one among them, as functions of a picture.

Each is fitted on unlabelled pictures of both: `VARIANTS[name](source, target, harmonising)` gives what a picture and
its breast become. `harmonising` is `adaptation.harmonising.fit` of the same pictures; it knows curve and scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.bands import apply_gains, bands, eroded, spreads
from mammo_tf.imaging.domain_histogram import domain_histogram, lookup_step
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.periphery import SCALES as WINDOWS
from mammo_tf.imaging.periphery import add_levels, levels_of

Picture, Breast = NDArray[np.float32], NDArray[np.bool_]
Pairs = Sequence[tuple[Picture, Breast]]
Way = Callable[[Picture, Breast], Picture]
PROBABILITIES = np.linspace(0, 1, 201)
LEVELS = 3  # of the residue, in whose parts contrast is taken apart
ROUNDS = 4
CORE = 8.0  # pixels from the skin
DEPTHS = (0.0, 1.5, 3.0, 5.0, 8.0, 13.0, 21.0, 1000.0)  # pixels from the skin


def looked_up(pairs: Pairs, found: Harmonising) -> Pairs:
    """The target's pictures behind the curve."""
    return [(found.curve.intensity(picture), breast) for picture, breast in pairs]


def robust(pairs: Pairs, scales: Sequence[float]) -> NDArray[np.float64]:
    """The robust statistic of each band."""
    return np.median([spreads(*pair, scales)[0] for pair in pairs], axis=0)


def gained(found: Harmonising, gains: Sequence[float], picture: Picture, breast: Breast) -> Picture:
    """Behind the curve and with gains."""
    return apply_gains(found.curve.intensity(picture), breast, found.target.bands.scales, gains)


def matched(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The curve alone."""
    return lambda picture, breast: found.curve.intensity(picture)


def harmonised(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The curve, then robust ratios: the form of before, which the others are compared with."""
    return partial(gained, found, found.robust_ratios)


def plain(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Ratios of standard deviations in the whole mask."""
    return partial(gained, found, found.plain_ratios)


def capped(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Ratios within a half and two."""
    return partial(gained, found, np.clip(found.robust_ratios, 0.5, 2).tolist())


def halved(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Half of the way, in logarithms."""
    return partial(gained, found, np.sqrt(found.robust_ratios).tolist())


def finest_left(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The finest band, which holds most of the grain, is left as it is."""
    return partial(gained, found, [1.0, *found.robust_ratios[1:]])


def bands_alone(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """No curve; ratios of pictures as they came."""
    scales = found.target.bands.scales
    ratios = np.asarray(found.source.bands.robust) / robust(target, scales)
    return lambda picture, breast: apply_gains(picture, breast, scales, ratios.tolist())


def refined_gains(target: Pairs, found: Harmonising) -> NDArray[np.float64]:
    """Gains under which the target's statistics are the source's: bands overlap, so ratios alone miss them."""
    scales, gains = found.target.bands.scales, np.asarray(found.robust_ratios)
    curved = looked_up(target, found)
    for _ in range(ROUNDS):
        behind = robust([(apply_gains(*pair, scales, gains.tolist()), pair[1]) for pair in curved], scales)
        gains = gains * found.source.bands.robust / behind
    return gains


def refined(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The curve, then gains that were corrected until the statistics agree."""
    return partial(gained, found, refined_gains(target, found).tolist())


def refined_curve(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Refined, and then a second curve: contrast by scale moves the histogram too."""
    way = refined(source, target, found)
    return with_second_curve(way, target, found)


def with_second_curve(way: Way, target: Pairs, found: Harmonising) -> Way:
    """A way, and behind it a curve of its own to the source's histogram."""
    known = found.source.histogram
    behind = domain_histogram((way(*pair)[pair[1]] for pair in target), name="target", geometry=known.geometry)
    second = lookup_step(behind, known)
    return lambda picture, breast: np.where(breast, second.intensity(way(picture, breast)), 0).astype(np.float32)


def harmonised_curve(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """As before, and then a second curve."""
    return with_second_curve(harmonised(source, target, found), target, found)


def _quantiles(pairs: Pairs, scales: Sequence[float]) -> NDArray[np.float64]:
    """`[bands, probabilities]`, means over pictures."""
    found = []
    for picture, breast in pairs:
        within = eroded(breast)
        found.append([np.quantile(band[within], PROBABILITIES) for band in bands(picture, breast, scales)[:-1]])
    return np.mean(found, axis=0)


def distributions(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The whole c.d.f. of each band instead of its spread; beyond its ends the shipped ratio."""
    one = _quantiles(source, found.source.bands.scales)
    other = _quantiles(looked_up(target, found), found.target.bands.scales)

    def way(picture: Picture, breast: Breast) -> Picture:
        *each, residue = bands(found.curve.intensity(picture), breast, found.target.bands.scales)
        total: NDArray[Any] = residue.astype(np.float64)
        for band, there, here, ratio in zip(each, one, other, found.robust_ratios, strict=True):
            beyond = (band - np.clip(band, here[0], here[-1])) * ratio
            total += np.interp(band, here, there) + beyond
        return np.where(breast, np.clip(total, 0, 1), 0).astype(np.float32)

    return way


def _by_level(pairs: Pairs, scales: Sequence[float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The robust statistic of each band where the residue lies in each part, `[levels, bands]`."""
    found: list[list[list[float]]] = [[] for _ in range(LEVELS)]
    for picture, breast in pairs:
        *each, residue = bands(picture, breast, scales)
        within = eroded(breast)
        for level, part in enumerate(_parts(residue, within, edges)):
            if part.sum() >= 200:
                found[level].append([float(np.subtract(*np.percentile(band[part], (84, 16)))) / 2 for band in each])
    return np.asarray([np.median(one, axis=0) for one in found])


def _parts(residue: Picture, within: Breast, edges: NDArray[np.float64]) -> list[Breast]:
    number = np.digitize(residue, edges)
    return [within & (number == level) for level in range(LEVELS)]


def by_level(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Gains that depend on how bright the surroundings are."""
    levels = np.concatenate([bands(*pair, found.source.bands.scales)[-1][eroded(pair[1])][::50] for pair in source])
    edges = np.quantile(levels, np.linspace(0, 1, LEVELS + 1)[1:-1])
    centres = [float(np.median(levels[np.digitize(levels, edges) == level])) for level in range(LEVELS)]
    one = _by_level(source, found.source.bands.scales, edges)
    ratios = one / _by_level(looked_up(target, found), found.target.bands.scales, edges)

    def way(picture: Picture, breast: Breast) -> Picture:
        *each, residue = bands(found.curve.intensity(picture), breast, found.target.bands.scales)
        total: NDArray[Any] = residue.astype(np.float64)
        for number, band in enumerate(each):
            total += np.interp(residue, centres, ratios[:, number]) * band
        return np.where(breast, np.clip(total, 0, 1), 0).astype(np.float32)

    return way


def by_class(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Gains of dark and of bright breasts apart: bright ones are mostly dense."""
    means = {name: [float(picture[breast].mean()) for picture, breast in pairs]
             for name, pairs in (("source", source), ("target", looked_up(target, found)))}  # fmt: skip
    ratios = []
    for bright in (False, True):
        parts = {
            name: [pair for pair, mean in zip(pairs, means[name], strict=True)
                   if (mean >= np.median(means[name])) == bright]
            for name, pairs in (("source", source), ("target", looked_up(target, found)))
        }  # fmt: skip
        one = robust(parts["source"], found.source.bands.scales)
        ratios.append((one / robust(parts["target"], found.target.bands.scales)).tolist())
    middle = float(np.median(means["target"]))

    def way(picture: Picture, breast: Breast) -> Picture:
        bright = found.curve.intensity(picture)[breast].mean() >= middle
        return gained(found, ratios[int(bright)], picture, breast)

    return way


def joint(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Curve and gains in turn, until behind both histogram and contrast are the source's."""
    known, scales = found.source, found.target.bands.scales
    levels = np.linspace(0, 1, len(found.curve.outputs))
    curve, gains = found.curve.outputs.astype(np.float64), np.asarray(found.robust_ratios)

    def way(picture: Picture, breast: Breast) -> Picture:
        curved = np.interp(picture, levels, curve).astype(np.float32)
        return apply_gains(curved, breast, scales, gains.tolist())

    for _ in range(ROUNDS):
        behind = [(way(*pair), pair[1]) for pair in target]
        histogram = domain_histogram(
            (picture[breast] for picture, breast in behind), name="target", geometry=known.histogram.geometry
        )
        second = lookup_step(histogram, known.histogram).outputs
        curve = np.maximum.accumulate(np.interp(curve, np.linspace(0, 1, len(second)), second))
        behind = [(way(*pair), pair[1]) for pair in target]
        gains = gains * known.bands.robust / robust(behind, scales)
    return way


def unmasked(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Blurs see the black outside as the vendor's own did, so the rim that sharpening draws along the skin goes too."""
    scales, gains = found.target.bands.scales, found.robust_ratios

    def way(picture: Picture, breast: Breast) -> Picture:
        curved = np.where(breast, found.curve.intensity(picture), 0).astype(np.float32)
        return np.where(breast, apply_gains(curved, np.ones_like(breast), scales, gains), 0).astype(np.float32)

    return way


def more_scales(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """A sixth band, of twice the scale of the fifth."""
    scales = [(*one.bands.scales, 2 * one.bands.scales[-1]) for one in (found.source, found.target)]
    gains = (robust(source, scales[0]) / robust(looked_up(target, found), scales[1])).tolist()
    return lambda picture, breast: apply_gains(found.curve.intensity(picture), breast, scales[1], gains)


def _depth(breast: Breast) -> NDArray[np.float32]:
    """How far each pixel of the breast is from the skin, in pixels; the picture's edge is no skin."""
    wide = cv2.copyMakeBorder(breast.view(np.uint8), 1, 1, 200, 200, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.distanceTransform(wide, cv2.DIST_L2, 5)[1:-1, 200:-200])


def _profile(pairs: Pairs) -> NDArray[np.float64]:
    """The median over pictures of the mean grey value at each depth."""
    found = []
    for picture, breast in pairs:
        depth = _depth(breast)
        parts = [breast & (depth >= low) & (depth < high) for low, high in zip(DEPTHS, DEPTHS[1:], strict=False)]
        found.append([float(picture[part].mean()) if part.any() else np.nan for part in parts])
    return np.asarray(np.nanmedian(found, axis=0))


def with_rim(way: Way, source: Pairs, target: Pairs) -> Way:
    """A way, and behind it the source's brightness along the skin."""
    apart = _profile(source) - _profile([(way(*pair), pair[1]) for pair in target])
    apart[-1] = 0.0  # deep inside nothing is changed
    middles = [np.sqrt(max(low, 0.5) * high) for low, high in zip(DEPTHS, DEPTHS[1:], strict=False)]

    def carried(picture: Picture, breast: Breast) -> Picture:
        moved = way(picture, breast) + np.interp(_depth(breast), middles, apart)
        return np.where(breast, np.clip(moved, 0, 1), 0).astype(np.float32)

    return carried


def rim(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """As before, then the source's brightness along the skin, told by distances."""
    return with_rim(harmonised(source, target, found), source, target)


def unmasked_rim(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Unmasked, then the source's brightness along the skin."""
    return with_rim(unmasked(source, target, found), source, target)


def joint_rim(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Joint, then the source's brightness along the skin."""
    return with_rim(joint(source, target, found), source, target)


def core_rim(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """The curve from pixels deep inside alone, bands behind it, then the source's brightness along the skin."""
    geometry = found.source.histogram.geometry
    inside = [
        domain_histogram((picture[_depth(breast) > CORE] for picture, breast in pairs), name=name, geometry=geometry)
        for name, pairs in (("target", target), ("source", source))
    ]
    curve, scales = lookup_step(*inside), found.target.bands.scales
    curved = [(curve.intensity(picture), breast) for picture, breast in target]
    gains = (found.source.bands.robust / robust(curved, scales)).tolist()
    return with_rim(
        lambda picture, breast: apply_gains(curve.intensity(picture), breast, scales, gains), source, target
    )


def with_periphery(way: Way, source: Pairs, target: Pairs) -> Way:
    """A way, and behind it the source's brightness along the skin by `imaging.periphery`: windows, not distances."""
    levels = []
    known = [levels_of(*zip(*source, strict=True), scale=window) for window in WINDOWS]
    behind = [(way(*pair), pair[1]) for pair in target]
    for number, window in enumerate(WINDOWS):
        here = levels_of(*zip(*behind, strict=True), scale=window)
        assert here is not None
        levels.append(np.subtract(known[number], here))
        behind = [(add_levels(*pair, (window,), levels[-1:]), pair[1]) for pair in behind]
    return lambda picture, breast: add_levels(way(picture, breast), breast, WINDOWS, levels)


def periphery(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """As shipped now."""
    return with_periphery(harmonised(source, target, found), source, target)


def by_level_periphery(source: Pairs, target: Pairs, found: Harmonising) -> Way:
    """Gains that depend on how bright the surroundings are, then the source's brightness along the skin."""
    return with_periphery(by_level(source, target, found), source, target)


VARIANTS: dict[str, Callable[[Pairs, Pairs, Harmonising], Way]] = {
    way.__name__: way
    for way in (
        matched, harmonised, plain, capped, halved, finest_left, bands_alone, refined, refined_curve, harmonised_curve,
        distributions, by_level, by_class, joint, unmasked, more_scales, rim, unmasked_rim, joint_rim, core_rim,
        periphery, by_level_periphery,
    )
}  # fmt: skip
