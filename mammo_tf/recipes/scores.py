"""The scores of a run: predictions of its splits, their metrics, and the card that its model gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from mammo_tf.data import ImagePatchSampling, TileSampling, WholeImageSampling
from mammo_tf.data.sampling import Sampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, calibrate, compute_metrics, write_predictions
from mammo_tf.evaluation.froc import COLUMNS as OF_CURVE
from mammo_tf.evaluation.predictions import COLUMNS, with_decision
from mammo_tf.evaluation.segmentations import COLUMNS as OF_MASKS
from mammo_tf.files import write_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import description_of, rebuild
from mammo_tf.reading.identity import key_fingerprint, keyed_hash
from mammo_tf.recipes.copies import accepted_copies
from mammo_tf.recipes.recipe import Evaluation, Recipe
from mammo_tf.recipes.start import SAY_MEAN, fitting
from mammo_tf.records import Records
from mammo_tf.serving.score_source import write_source
from mammo_tf.study import UNLABELLED
from mammo_tf.training import CardCalibration, ModelCard, ModelFile, Threshold, TrainingDomain
from mammo_tf.training.model_card import TERMS_NOT_TOLD, KnownPatients, PatchInput
from mammo_tf.training.tasks import Scoring
from mammo_tf.training.tasks.pieces import BRANCH, DISTANCE

EVALUATED = ("validation", "test")
NOT_TOLD = KnownPatients("", (), ())  # of a model that does not say whom it has seen
DOMAIN = ("modality", "manufacturer", "model_name", "software", "site", "view")


@dataclass(frozen=True)
class Measured:
    """What was measured of a model.

    Attributes:
        predictions: of the splits.
        metrics: content of `metrics.json`.
        card: of the model, with what was chosen on validation.
    """

    predictions: pd.DataFrame
    metrics: Metrics
    card: ModelCard


def score_splits(
    model: keras.Model,
    records: Records,
    steps: Preprocessing,
    recipe: Recipe,
    folder: Path | None,
    splits: Sequence[str] = EVALUATED,
) -> pd.DataFrame:
    """Scores of the labelled pictures of the splits that are there, with the columns of the recipe's task.

    Masks go to the folder; None writes none.
    """
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    scoring = Scoring(steps, recipe.training.batch_size, recipe.evaluation.flips, devices > 1, recipe.scoring)
    tables = []
    for split in splits:
        positions = records.positions(split)
        positions = positions[recipe.task.truth(records.rows.iloc[positions]) != UNLABELLED]
        if len(positions):
            tables.append(recipe.task.results(model, records, positions, scoring, folder))
    return pd.concat(tables, ignore_index=True)


def measured(
    model: keras.Model,
    records: Records,
    card: ModelCard,
    recipe: Recipe,
    folder: Path,
    splits: Sequence[str] = EVALUATED,
) -> Measured:
    """Scores, measures, writes `predictions_<split>.csv` and `metrics.json`; thresholds and calibration go to the card.

    A JSON file next to each table of predictions tells the network (`serving.score_source`). A task of masks has
    `segmentations_<split>.csv` too.

    Args:
        model: the network.
        records: prepared images.
        card: what is known of the model before it is measured; its preprocessing is used.
        recipe: says how.
        folder: where the files go.
        splits: which are scored.

    Raises:
        MammoError: `preprocessing_missing`.
    """
    if card.preprocessing is None:
        raise MammoError("preprocessing_missing", "the model does not say how pictures are prepared")
    table = score_splits(model, records, card.preprocessing, recipe, folder, splits)
    metrics = metrics_of(table, recipe)
    card = replace(
        card,
        network=description_of(model),
        flips=recipe.evaluation.flips,
        thresholds=_thresholds(metrics, recipe.evaluation),
        calibration=_calibration(recipe.evaluation.calibration, table[table["split"] == "validation"]),
    ).sealed(model)
    probability = None if card.calibration is None else card.calibration.function
    table = with_decision(table, card.threshold("image"), probability)
    for split, part in table.groupby("split", sort=False):
        path = folder / f"predictions_{split}.csv"
        write_predictions(part, path)
        write_source(path, card)
        if set(OF_MASKS) <= set(part):
            identities = [name for name in COLUMNS if name not in ("label", "score")]
            of_branches = [name for name in part if name == BRANCH or str(name).startswith(DISTANCE)]
            kept = [*identities, *OF_MASKS, *OF_CURVE, *of_branches]
            write_predictions(part[kept], folder / f"segmentations_{split}.csv")
    write_json(folder / "metrics.json", metrics.to_json())  # last: who finds it finds the predictions too
    return Measured(table, metrics, card)


def metrics_of(table: pd.DataFrame, recipe: Recipe) -> Metrics:
    """`compute_metrics` as the recipe asks for it, and what its task measures beyond scores."""
    evaluation = recipe.evaluation
    metrics = compute_metrics(
        table, aggregates=evaluation.aggregates, resampling=evaluation.resampling,
        rule=evaluation.operating_point, calibration=evaluation.calibration or None, pool_exams=evaluation.pool_exams,
    )  # fmt: skip
    splits = {split: dict(levels) for split, levels in metrics.items()}
    for split, levels in recipe.task.measure(table, evaluation.resampling).items():
        for level, numbers in levels.items():
            splits[split][level] = splits[split].get(level, {}) | numbers
    return replace(metrics, splits=splits)


def trained_card(recipe: Recipe, records: Records, steps: Preprocessing, origin: ModelFile | None) -> ModelCard:
    """What is known of a model that was trained here: where, on whom, asked what; nothing is measured yet.

    A model that was only started from keeps its own domain and patients.
    """
    before = None if origin is None else origin.card
    if before is None and not recipe.phases:
        return ModelCard(recipe=recipe.name, task=recipe.task, preprocessing=steps, records=records.digest)
    if before is not None and not recipe.phases:
        return replace(
            before, recipe=recipe.name, task=recipe.task, preprocessing=steps, thresholds=(), calibration=None,
            copies=tuple(dict.fromkeys((*before.copies, *accepted_copies(records, recipe)))),
        )  # fmt: skip
    trained = records.rows.iloc[records.positions("train")]
    counts = {column: _counted(trained[column]) for column in DOMAIN if column in trained}
    means = records.means[records.positions("train")]
    return ModelCard(
        recipe=recipe.name,
        origin="" if before is None else before.recipe or before.origin,
        task=recipe.task,
        preprocessing=steps,
        patch=patch_input(recipe),
        tiling=recipe.scoring.tiling if isinstance(recipe.scoring, TileSampling) else None,
        training_domain=TrainingDomain(len(trained), counts, float(np.mean(means)) if len(means) else None),
        patients=(*(() if before is None else before.patients or (NOT_TOLD,)), _known_patients(records)),
        terms=terms_of([] if before is None else [before.terms], trained),
        copies=(*(() if before is None else before.copies), *accepted_copies(records, recipe)),
        records=records.digest,
    )


def terms_of(before: Sequence[tuple[str, ...]], trained: pd.DataFrame) -> tuple[str, ...]:
    """Of use of all data that a model was made from; `TERMS_NOT_TOLD` stands for those that do not tell theirs.

    Args:
        before: those of the models that it was made from.
        trained: the manifest's rows that it was trained on; their column `terms` tells, if it is there.

    Returns:
        Sorted; none where nothing tells any.
    """
    own = trained["terms"] if "terms" in trained else [""] * len(trained)
    told = {str(one) or TERMS_NOT_TOLD for one in own}
    told |= {text for terms in before for text in terms or (TERMS_NOT_TOLD,)}
    return () if told <= {TERMS_NOT_TOLD} else tuple(sorted(told))


def patch_input(recipe: Recipe) -> PatchInput | None:
    """What of a picture the recipe's network looks at; None for whole pictures."""
    match recipe.scoring:
        case ImagePatchSampling(rows=rows, columns=columns, pixels=pixels, mm=mm):
            return PatchInput(rows, columns, pixels, mm)
    return None


def plan_of(card: ModelCard, samples: int | None, draws: int) -> Sampling:
    """What of a picture a model looks at, as its card says.

    Args:
        card: of the model.
        samples: patches or tiles of an epoch of training.
        draws: patches of each picture that is scored.
    """
    if card.tiling is not None:
        return TileSampling(card.tiling, samples)
    if card.patch is not None:
        one = card.patch
        return ImagePatchSampling(one.rows, one.columns, pixels=one.pixels, mm=one.mm, samples=samples, draws=draws)
    return WholeImageSampling()


def _counted(values: pd.Series[str]) -> dict[str, int]:
    """How often each value stands there, empty ones left out."""
    counts = values[values != ""].value_counts().sort_index()
    return {str(value): int(count) for value, count in counts.items()}


def patient_hashes(records: Records, split: str) -> tuple[str, ...]:
    """Keyed hashes of the patients of a split, sorted.

    Raises:
        MammoError: where this user can keep no key.
    """
    patients = records.rows.loc[records.rows["split"] == split, "patient_id"].unique()
    return tuple(sorted(map(patient_hash, patients)))


def patient_hash(patient: str) -> str:
    """What a card tells of a patient whom a model has seen.

    Raises:
        MammoError: where this user can keep no key.
    """
    return keyed_hash("patient of a model", patient)


def _known_patients(records: Records) -> KnownPatients:
    """Whom the model was trained and validated on; `NOT_TOLD` where this user can keep no key."""
    try:
        return KnownPatients(key_fingerprint(), patient_hashes(records, "train"), patient_hashes(records, "validation"))
    except MammoError:
        return NOT_TOLD


def _thresholds(metrics: Metrics, evaluation: Evaluation) -> tuple[Threshold, ...]:
    """Operating points of every level, as they were chosen on validation."""
    found = {
        level: numbers["threshold"]["value"]
        for level, numbers in metrics.get("validation", {}).items()
        if "threshold" in numbers
    }
    words = evaluation.operating_point.words
    return tuple(Threshold(level, float(value), words) for level, value in found.items() if value is not None)


def _calibration(method: str, cases: pd.DataFrame) -> CardCalibration | None:
    """The calibration of image scores on validation, and the share of positives there; None where there is none."""
    if not method:
        return None
    try:
        return CardCalibration.of(calibrate(cases["label"], cases["score"], method), float(cases["label"].mean()))
    except MammoError:
        return None  # the metrics say why


def measured_as_it_came(
    origin: ModelFile, records: Records, recipe: Recipe, folder: Path, splits: Sequence[str] = EVALUATED
) -> Measured:
    """What a model that is not trained here gives on records, with its own intensities; as `measured`.

    Raises:
        MammoError: `preprocessing_missing`.
    """
    if origin.preprocessing is None:
        raise MammoError("preprocessing_missing", "the model does not say how pictures are prepared", SAY_MEAN)
    steps = replace(records.preprocessing, intensity_steps=origin.preprocessing.intensity_steps)
    model = origin.model
    size = recipe.scoring.size(records.size)
    if not fitting(model, size, steps.channels):
        model = rebuild(model, input_shape=(*size, steps.channels))
    return measured(model, records, replace(origin.card, preprocessing=steps), recipe, folder, splits)
