"""Harmonising fitted on unlabelled pictures: of the domain that a model knows, and of a machine that it goes to.

The curve comes first, then contrast by scale, then brightness along the skin (`docs/harmonising.md`). A row's label is
never looked at, and of records the training pictures alone are taken. One table serves a machine. The source may be the
model's card, which tells what its training pictures were like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mammo_tf.adaptation.domains import (
    FEWEST,
    MOST,
    RECOMMENDED,
    Domain,
    Source,
    check_alike,
    domain_of,
    looked_at,
    source_of,
    too_few,
)
from mammo_tf.adaptation.site_pictures import Pair, Pictures, by_machine, dark_and_bright, patients_of, training_part
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import SCALES_MM
from mammo_tf.imaging.blur_plan import SMALLEST
from mammo_tf.imaging.domain_histogram import lookup_step
from mammo_tf.imaging.harmonising import Harmonising, Machine
from mammo_tf.imaging.periphery import LARGEST as LARGEST_WINDOW
from mammo_tf.imaging.periphery import SCALES_MM as WINDOWS_MM
from mammo_tf.imaging.periphery import SMALLEST as LEAST_WINDOW
from mammo_tf.imaging.periphery import PeripheryStatistics
from mammo_tf.records import Records
from mammo_tf.training import ModelCard

Say = Callable[[str], None]


def fit(
    source: Pictures | ModelCard,
    target: Pictures,
    scales_mm: Sequence[float] = SCALES_MM,
    spacings_mm: tuple[float | None, float | None] = (None, None),
    patients: int | None = MOST,
    seed: int = 0,
) -> Harmonising:
    """What carries pictures of the target to the look of the source.

    Where the spacing of all pictures is known, scales are `scales_mm` at both domains: by the median spacing of each in
    pixels, those left out that are below what a pixel shows. Else they are `imaging.bands.SCALES` pixels at both.

    Args:
        source: of the domain that the model knows: records, or pairs of a prepared picture, floats in [0, 1]
            `[rows, columns]`, and its breast, bool of the same shape; or the model's card, at whose scales it is then.
        target: of a machine that the model goes to, prepared in the same way.
        scales_mm: standard deviations of the blurs in millimetres, rising.
        spacings_mm: of the pixels of pairs, source and target; records tell theirs.
        patients: at most so many of each are drawn from records; None takes all.
        seed: of the drawing.

    Raises:
        MammoError: `too_few_patients` below 5 patients, or pairs, of one of them; `split_empty`, `breast_missing`,
            `breast_wrong`, `mask_empty`, `mask_wrong`, `pixels_wrong`, `image_empty`, `modalities_mixed`; those of
            `Harmonising`, and of `domains.CardSource`.
    """
    check_alike(source, target)
    known = source_of(source, patients, seed, spacings_mm[0])
    return _fitted(known, looked_at("target", target, patients, seed), scales_mm, spacings_mm[1])


def fit_by_machine(
    source: Records | ModelCard,
    target: Records,
    scales_mm: Sequence[float] = SCALES_MM,
    patients: int | None = MOST,
    seed: int = 0,
    say: Say = lambda line: None,
) -> dict[Machine, Harmonising]:
    """One harmonising for each machine of the target, each to the whole source.

    Args:
        source, target, scales_mm, patients, seed: as for `fit`; `patients` of each machine.
        say: is told of machines that are left out, having fewer than 5 patients.

    Raises:
        MammoError: those of `fit`; `too_few_patients` where no machine has 5.
    """
    machines = by_machine(training_part(target))
    counts = {machine: len(patients_of(part)) for machine, part in machines.items()}
    kept = {machine: part for machine, part in machines.items() if counts[machine] >= FEWEST}
    if not kept:
        told = "; ".join(f"{count} of {machine.words}" for machine, count in counts.items())
        raise too_few(f"no machine of the target has {FEWEST} patients: {told}")
    for machine, count in counts.items():
        if machine not in kept:
            say(f"{machine.words}: left out, {count} of {FEWEST} patients at least ({RECOMMENDED} are recommended)")
    check_alike(source, target)
    known = source_of(source, patients, seed)
    return {
        machine: _fitted(known, looked_at("target", part, patients, seed), scales_mm, None)
        for machine, part in kept.items()
    }


def fit_halves(
    source: Pictures | ModelCard,
    target: Pictures,
    scales_mm: Sequence[float] = SCALES_MM,
    spacings_mm: tuple[float | None, float | None] = (None, None),
    patients: int | None = MOST,
    seed: int = 0,
) -> tuple[Harmonising, Harmonising]:
    """What `fit` gives from the darker half of the target's pictures alone, and from the brighter half.

    Where a model's scores behind the two rank pictures differently, case mix is in the statistics.

    Args:
        source, target, scales_mm, spacings_mm, patients, seed: as for `fit`.

    Raises:
        MammoError: those of `fit`.
    """
    check_alike(source, target)
    known = source_of(source, patients, seed, spacings_mm[0])
    halves = dark_and_bright(looked_at("target", target, patients, seed))
    dark, bright = (_fitted(known, half, scales_mm, spacings_mm[1]) for half in halves)
    return dark, bright


def _fitted(
    source: Source, target: Records | Sequence[Pair], scales_mm: Sequence[float], spacing: float | None
) -> Harmonising:
    """What `fit` gives; `spacing` of the target's plain pictures."""
    domain = domain_of("target", target, spacing)
    curve = lookup_step(domain.histogram, source.histogram)
    scales = _scales(source, domain.spacing, scales_mm)
    both = 0
    if isinstance(target, Records) and source.records is not None and source.records.digest != target.digest:
        both = len(patients_of(source.records) & patients_of(target))
    found = Harmonising(source.statistics(scales[0]), domain.statistics("target", scales[1], curve), both)
    return _with_periphery(found, source, domain)


def _with_periphery(found: Harmonising, source: Source, domain: Domain) -> Harmonising:
    """Brightness along the skin as well; windows that no breast is wide enough for are left out."""
    kept: list[tuple[float, float]] = []
    known: list[tuple[float, ...]] = []
    here: list[tuple[float, ...]] = []
    for pair in _windows(source, domain.spacing):
        there = source.along_skin(pair[0])
        levels = None if there is None else domain.along_skin("target", pair[1], found.steps)
        if there is None or levels is None:
            continue
        kept, known, here = [*kept, pair], [*known, there], [*here, levels]
        windows = zip(*kept, strict=True)
        source_side, target_side = (
            replace(side, periphery=PeripheryStatistics(scales, tuple(each), side.bands.images))
            for side, scales, each in zip((found.source, found.target), windows, (known, here), strict=True)
        )
        found = replace(found, source=source_side, target=target_side)
    return found


def _windows(source: Source, spacing: float | None) -> list[tuple[float, float]]:
    """Windows along the skin in pixels of source and target; `spacing` of the target."""
    if source.spacing is None or spacing is None:
        return [(window, window) for window in source.windows]
    pairs = [(one / source.spacing, one / spacing) for one in source.windows_mm or WINDOWS_MM]
    return [pair for pair in pairs if min(pair) >= LEAST_WINDOW and max(pair) <= LARGEST_WINDOW]


def _scales(
    source: Source, spacing: float | None, scales_mm: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scales in pixels of source and target; `spacing` of the target."""
    if source.spacing is None or spacing is None:
        return source.scales, source.scales
    finest, asked = SMALLEST * max(source.spacing, spacing), source.scales_mm or scales_mm
    shown = [scale for scale in asked if scale >= finest]
    if not shown:
        told = ", ".join(f"{scale:g}" for scale in asked)
        coarser = max(source.spacing, spacing)
        sentence = f"the scales are {told} mm, and pixels of {coarser:.3g} mm show {finest:.3g} mm or more"
        raise MammoError("scales_wrong", sentence, "Give larger ones, or prepare larger pictures")
    return tuple(scale / source.spacing for scale in shown), tuple(scale / spacing for scale in shown)
