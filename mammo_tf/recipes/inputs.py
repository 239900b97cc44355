"""The inputs of a run: records or a manifest, and the preprocessing that they and the recipe ask for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from mammo_tf.data.cutting import check_breasts
from mammo_tf.errors import MammoError
from mammo_tf.imaging.geometry_steps import Fit, Place, Resize
from mammo_tf.imaging.intensity_steps import Channels, MaximumScale, Scale, SubtractMean
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.recipes.copies import accepted_copies
from mammo_tf.recipes.matching import check_whole, matched
from mammo_tf.recipes.recipe import FROM_START, FROM_TRAINING, WHITE_LEVEL, Recipe
from mammo_tf.recipes.run_folder import PREPARED
from mammo_tf.recipes.start import SAY_MEAN
from mammo_tf.records import Records, check_same_pictures, open_records, prepare
from mammo_tf.study import SPLITS, check_leakage, read_manifest
from mammo_tf.training import ModelFile

FULL_SIZE = (1152, 896)
Say = Callable[[str], None]


def geometry_of(recipe: Recipe, start: ModelFile | None, records: Records | None) -> Preprocessing:
    """The preprocessing that the recipe asks for, its mean still that of the preset or the start model.

    Raises:
        MammoError: `start_missing`, `preprocessing_missing`.
    """
    found = _asked_geometry(recipe, start, records)
    ours = found.projection if records is None else records.preprocessing.projection
    found = replace(found, projection=recipe.preparation.volumes() or ours)
    return with_auto_levels(found) if recipe.preparation.auto_levels else found


def _asked_geometry(recipe: Recipe, start: ModelFile | None, records: Records | None) -> Preprocessing:
    size = _size(recipe, start, records)
    if recipe.preparation.preset != FROM_START:
        preset = Preprocessing.preset(recipe.preparation.preset, size, channels=recipe.preparation.channels)
        return with_white(preset, recipe.preparation.white)
    if start is None:
        raise MammoError("start_missing", "preparation.preset is 'start' and there is no start model", "Give --start")
    if start.published:
        return Preprocessing.preset("legacy", size, channels=start.model.inputs[0].shape[-1])
    if start.preprocessing is None:
        raise MammoError(
            "preprocessing_missing", "the start model does not say how pictures are prepared",
            "Set preparation.preset to legacy, default or graph",
        )  # fmt: skip
    return with_size(start.preprocessing, *size)


def _size(recipe: Recipe, start: ModelFile | None, records: Records | None) -> tuple[int, int]:
    if recipe.preparation.rows is not None and recipe.preparation.columns is not None:
        return recipe.preparation.rows, recipe.preparation.columns
    if records is not None:
        return records.size
    if start is not None and start.preprocessing is not None and start.preprocessing.size is not None:
        return start.preprocessing.size  # of the whole picture, of which a model of patches or tiles takes parts
    if start is not None and start.model.inputs[0].shape[1] is not None:
        return start.model.inputs[0].shape[1], start.model.inputs[0].shape[2]
    return FULL_SIZE


def with_size(preprocessing: Preprocessing, rows: int, columns: int) -> Preprocessing:
    """The same steps, ending in another size."""
    steps = tuple(
        replace(step, rows=rows, columns=columns) if isinstance(step, Resize | Fit | Place) else step
        for step in preprocessing.geometry_steps
    )
    return replace(preprocessing, geometry_steps=steps)


def with_mean(preprocessing: Preprocessing, mean: float) -> Preprocessing:
    """The same steps with another number subtracted."""
    steps = tuple(
        replace(step, mean=mean) if isinstance(step, SubtractMean) else step for step in preprocessing.intensity_steps
    )
    return replace(preprocessing, intensity_steps=steps)


def with_white(preprocessing: Preprocessing, white: float) -> Preprocessing:
    """The same steps with white at another level than 255."""
    steps = tuple(
        replace(step, factor=step.factor * white / WHITE_LEVEL) if isinstance(step, Scale) else step
        for step in preprocessing.intensity_steps
    )
    return replace(preprocessing, intensity_steps=steps)


def with_auto_levels(preprocessing: Preprocessing) -> Preprocessing:
    """The same steps with each picture's own maximum at white in place of one scale for all."""
    steps = tuple(
        MaximumScale(round(step.levels * step.factor, 2)) if isinstance(step, Scale) else step
        for step in preprocessing.intensity_steps
    )
    return replace(preprocessing, intensity_steps=steps)


def training_mean(records: Records, preprocessing: Preprocessing) -> float:
    """Mean of the training pictures on the scale on which the preprocessing subtracts it, rounded to 0.01.

    Where every step before is a scaling the means of the records are scaled; else the steps are run on every picture.

    Raises:
        MammoError: `split_empty`; `breast_missing` where a step needs the breast and the records have no masks.
    """
    positions = records.positions("train")
    if not len(positions):
        raise MammoError("split_empty", "no image is in split train", "Run mammo-tf split")
    before = list(takewhile(lambda step: not isinstance(step, SubtractMean), preprocessing.intensity_steps))
    if all(isinstance(step, Scale) for step in before):
        scale = math.prod(step.levels * step.factor for step in before if isinstance(step, Scale))
        return round(float(np.mean(records.means[positions])) * scale, 2)
    up_to_mean = replace(preprocessing, intensity_steps=(*before, Channels(1)))
    check_breasts(records, up_to_mean.needs_breast)
    return round(float(np.mean([_mean_after(up_to_mean, records, int(position)) for position in positions])), 2)


def _mean_after(steps: Preprocessing, records: Records, position: int) -> float:
    breast = records.breast(position) if steps.needs_breast else None
    values = steps.intensity(records.picture(position) / np.float32(65535), breast)
    return float(np.mean(values, dtype=np.float64))


def open_data(
    data: str | Path | Records,
    folder: Path,
    start: ModelFile | None,
    recipe: Recipe,
    workers: int,
    say: Say,
    root: str | Path | None = None,
) -> tuple[Records, Preprocessing]:
    """Records as they are (open, or in a folder), or a manifest prepared into the run folder, and what prepares them.

    Checked for leakage and for what the task needs in every split. Where the recipe prepares pictures as the start
    model does and the records were prepared in another way, the records count, with a word.

    Raises:
        MammoError: `geometry_differs` where the recipe names a preset and records were prepared in another way,
            `projection_differs` where it names another projection of volumes than theirs, and what `read_manifest`,
            `prepare`, `open_records`, `check_leakage`, `check_same_pictures`, `accepted_copies`, `Task.check_rows` and
            `geometry_of` raise.
    """
    splits = SPLITS if recipe.phases else ("test",)
    data = data if isinstance(data, Records) else Path(data)
    if isinstance(data, Records) or data.is_dir():
        records = data if isinstance(data, Records) else open_records(data)
        preprocessing = geometry_of(recipe, start, records)
        if records.preprocessing.projection != preprocessing.projection:
            found, asked = records.preprocessing.projection, preprocessing.projection
            raise MammoError(
                "projection_differs", f"volumes of {records.folder} were prepared by {found}; the recipe wants {asked}",
                "Prepare again, or leave preparation.projection out",
            )  # fmt: skip
        if records.preprocessing.geometry_steps != preprocessing.geometry_steps:
            preprocessing = _as_prepared(records, preprocessing, recipe, say)
    else:
        manifest = read_manifest(data)
        check_leakage(manifest)
        recipe.task.check_rows(manifest, splits)
        preprocessing = geometry_of(recipe, start, None)
        done = prepare(
            manifest, root or data.parent, folder / PREPARED, preprocessing, workers, tile=recipe.preparation.tile
        )
        if done.rejects:
            say(f"{len(done.rejects)} of {len(manifest)} images cannot be used: {folder / PREPARED / 'rejects.csv'}")
        for remark in done.remarks:
            say(remark)
        records = open_records(folder / PREPARED)
    check_leakage(records.rows)
    check_same_pictures(records)
    for line in accepted_copies(records, recipe):
        say(line)
    recipe.task.check_rows(records.rows, splits)
    return records, preprocessing


def records_of_start(
    data: Path, root: str | Path | None, folder: Path, start: ModelFile, splits: Sequence[str], workers: int
) -> Records:
    """The splits of a manifest, prepared as the start model has it, at its size: so that it is scored as it came.

    Args:
        data: a manifest.
        root: its data root; by default its folder.
        folder: for the records.
        start: says how; its preprocessing ends in a size.
        splits: which are prepared.
        workers: processes.

    Raises:
        MammoError: as `read_manifest`, `prepare`, `open_records`.
    """
    assert start.preprocessing is not None  # else it is not scored
    manifest = read_manifest(data)
    part = manifest[manifest["split"].isin(splits)].reset_index(drop=True)
    prepare(part, root or data.parent, folder, start.preprocessing, workers)
    return open_records(folder)


def _as_prepared(records: Records, wanted: Preprocessing, recipe: Recipe, say: Say) -> Preprocessing:
    found, asked = (", ".join(map(str, one.geometry_steps)) for one in (records.preprocessing, wanted))
    if recipe.preparation.preset != FROM_START or records.size != wanted.size:
        raise MammoError(
            "geometry_differs", f"{records.folder} was prepared by {found}; the recipe wants {asked}",
            "Prepare again, or set preparation.preset, preparation.rows and preparation.columns",
        )  # fmt: skip
    say(f"the start model was trained on pictures prepared by {asked}; these are prepared by {found}")
    return replace(records.preprocessing, intensity_steps=wanted.intensity_steps)


def network_input(
    recipe: Recipe, records: Records, start: ModelFile | None, preprocessing: Preprocessing
) -> Preprocessing:
    """The preprocessing with the mean that the recipe asks for, behind histogram matching where that is asked for.

    Raises:
        MammoError: `start_missing`, `mean_unknown`; those of `matched` and `check_whole`.
    """
    steps = _with_asked_mean(recipe, records, start, matched(recipe, records, preprocessing))
    check_whole(recipe, records, steps)
    return steps


def _with_asked_mean(
    recipe: Recipe, records: Records, start: ModelFile | None, preprocessing: Preprocessing
) -> Preprocessing:
    mean = recipe.preparation.mean
    if mean == FROM_TRAINING:
        return with_mean(preprocessing, training_mean(records, preprocessing))
    if mean == FROM_START:
        if start is None:
            raise MammoError("start_missing", "preparation.mean is 'start' and there is no start model", "Give --start")
        if start.preprocessing is None:
            sentence = "preparation.mean is 'start', and the start model does not say what was subtracted"
            raise MammoError("mean_unknown", sentence, SAY_MEAN)
        own = replace(preprocessing, intensity_steps=start.preprocessing.intensity_steps)
        steps = matched(recipe, records, own)
        return with_auto_levels(steps) if recipe.preparation.auto_levels else steps
    return with_mean(preprocessing, float(mean))
