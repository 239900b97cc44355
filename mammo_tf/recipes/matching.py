"""The look of a domain in a run: files of histograms, or of a harmonising, become steps in front of its intensities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import digest
from mammo_tf.imaging.domain_histogram import (
    BREAST,
    SAME,
    DomainHistogram,
    check_alike,
    lookup_step,
    match_step,
)
from mammo_tf.imaging.geometry_steps import MaskBreast
from mammo_tf.imaging.harmonising import Harmonising, look_steps, with_harmonising
from mammo_tf.imaging.intensity_steps import HistogramMatch
from mammo_tf.imaging.preprocessing import Preprocessing, geometry_words
from mammo_tf.recipes.recipe import Matching, Recipe
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import machines_of, with_matching
from mammo_tf.training import ModelFile


def digests_of_matching(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of the files that a recipe's matching or harmonising names, once it is known that they serve.

    Raises:
        MammoError: `file_missing`; those of `DomainHistogram.load`, `check_alike` and `Harmonising.load`.
    """
    path = recipe.preparation.harmonising
    if path is not None:
        _harmonising(path)
        return {"harmonising": digest(Path(path))}
    asked = recipe.preparation.matching
    if asked is None:
        return {}
    reference, source = _loaded(asked)
    if source is None:
        return {"reference": digest(Path(asked.reference))}
    check_alike(source, reference)
    return {"reference": digest(Path(asked.reference)), "source": digest(Path(source.name))}


def _loaded(asked: Matching) -> tuple[DomainHistogram, DomainHistogram | None]:
    """Reference and source, their files standing for their names, as messages are to tell them."""

    def named(path: str) -> DomainHistogram:
        if not Path(path).is_file():
            raise MammoError("file_missing", f"the histogram {path} is not there", "Make it: mammo-tf histogram")
        return replace(DomainHistogram.load(path), name=path)

    return named(asked.reference), None if asked.source is None else named(asked.source)


def _harmonising(path: str) -> Harmonising:
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the harmonising {path} is not there", "Make it: mammo-tf harmonise")
    return Harmonising.load(path)


def matched(recipe: Recipe, records: Records, preprocessing: Preprocessing) -> Preprocessing:
    """The preprocessing with the recipe's histogram matching or harmonising in front of its intensities.

    Raises:
        MammoError: `preprocessing_differs` where a file was made of pictures that were prepared otherwise than the
            records, or of other projections of volumes; `matching_unfit` where pictures are carried from their own
            histograms and hold more than the breast, which the reference is of; those of `digests_of_matching`.
    """
    path = recipe.preparation.harmonising
    if path is not None:
        found = _harmonising(path)
        _check_prepared_alike(path, found, records)
        return with_harmonising(preprocessing, found.steps)
    asked = recipe.preparation.matching
    if asked is None:
        return preprocessing
    reference, source = _loaded(asked)
    here = geometry_words(records.preprocessing)
    for path, histogram in ((asked.reference, reference), (asked.source, source)):
        if histogram is not None and histogram.geometry != here:
            raise MammoError(
                "preprocessing_differs", f"{path} is of pictures prepared by {', '.join(histogram.geometry)}; those of "
                f"{records.folder} were prepared by {', '.join(here)}", SAME,
            )  # fmt: skip
    if source is None:
        _check_masked(records, reference, asked.reference)
        return with_matching(preprocessing, match_step(reference))
    if source.projection != records.preprocessing.projection:
        raise MammoError(
            "preprocessing_differs", f"{asked.source} is of volumes projected by {source.projection}; those of "
            f"{records.folder} were projected by {records.preprocessing.projection}", SAME,
        )  # fmt: skip
    return with_matching(preprocessing, lookup_step(source, reference, asked.rule))


def _check_prepared_alike(path: str, found: Harmonising, records: Records) -> None:
    """Steps in pixels serve pictures of the same geometry and size alone."""
    of_file, here = found.target, records.preprocessing
    geometry = ", ".join(of_file.histogram.geometry) or "steps that it does not tell"
    for what, one, other in (
        ("prepared by", geometry, ", ".join(geometry_words(here))),
        *([] if here.keeps_pixels else [("of the size", _by(of_file.size), _by(records.size))]),
        ("of volumes projected by", of_file.histogram.projection, here.projection),
    ):
        if one != other:
            sentence = f"{path} is of pictures {what} {one}; those of {records.folder} are {what} {other}"
            raise MammoError("preprocessing_differs", sentence, "Make it of records that were prepared alike")


def _by(size: tuple[int, int] | None) -> str:
    return "not told" if size is None else f"{size[0]}x{size[1]}"


def other_machines(recipe: Recipe, records: Records) -> str:
    """A sentence where a recipe's harmonising is of other machines than some of the pictures; else ""."""
    path = recipe.preparation.harmonising
    if path is None:
        return ""
    known = set(_harmonising(path).target.machines)
    others = [machine for machine in machines_of(records) if machine not in known]
    if not others:
        return ""
    named = "; ".join(machine.words for machine in sorted(set(others)))
    return f"{len(others)} of {len(records)} pictures are of machines that {path} is not of: {named}"


def _check_masked(records: Records, reference: DomainHistogram, path: str) -> None:
    masked = any(isinstance(step, MaskBreast) for step in records.preprocessing.geometry_steps)
    if reference.pixels == BREAST and not masked:
        raise MammoError(
            "matching_unfit", f"{path} is of the breast alone, and pictures of {records.folder} hold more: their own "
            "histograms are of another kind", "Name preparation.matching.source, or prepare with preset default",
        )  # fmt: skip


def check_whole(recipe: Recipe, records: Records, steps: Preprocessing) -> None:
    """Refuses matching by each picture's own histogram where the network sees patches of the pictures.

    Raises:
        MammoError: `matching_unfit`.
    """
    plans = [recipe.scoring, *(phase.plan for phase in recipe.phases)]
    whole = all(plan.size(records.size) == records.size for plan in plans)
    if not whole and any(isinstance(step, HistogramMatch) for step in steps.intensity_steps):
        raise MammoError(
            "matching_unfit", "a patch does not tell its picture's own histogram, and the recipe sees patches",
            "Match by the domain's: set preparation.matching.source to its file",
        )  # fmt: skip


def left_unmatched(start: ModelFile | None, steps: Preprocessing) -> str:
    """A sentence where a start model sees matched pictures and these are not; else ""."""
    had = start is not None and start.preprocessing is not None and bool(look_steps(start.preprocessing))
    if not had or look_steps(steps):
        return ""
    return "the start model was trained behind histogram matching; the recipe names none, so pictures are not matched"
