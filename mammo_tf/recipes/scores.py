"""The scores of a run: predictions of its splits, their metrics, and what the model is told of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from mammo_tf.data import WholeImages, image_labels
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, calibrate, compute_metrics, make_predictions, write_predictions
from mammo_tf.files import write_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import flip_averaged, rebuild, weights_digest
from mammo_tf.recipes.recipe import Evaluation, Recipe
from mammo_tf.recipes.start import fitting
from mammo_tf.records import Records
from mammo_tf.serving.score_source import write_source
from mammo_tf.training import ModelFile, predict_probabilities

EVALUATED = ("validation", "test")


def predict_splits(
    model: keras.Model,
    records: Records,
    steps: Preprocessing,
    recipe: Recipe,
    folder: Path,
    splits: Sequence[str] = EVALUATED,
) -> pd.DataFrame:
    """Scores of the splits that are there, returned together and written as `predictions_<split>.csv`.

    A JSON file beside each tells the network (`score_source`).
    """
    scorer = flip_averaged(model) if recipe.evaluation.flips else model
    weights = weights_digest(model)
    tables = []
    for split in splits:
        positions = records.positions(split)
        if not len(positions):
            continue
        labels = image_labels(records, positions, recipe.evaluation.positives)
        plan = WholeImages(positions, labels, records.size)
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        probabilities = predict_probabilities(
            scorer, records, plan, recipe.training.batch_size, steps, padded=devices > 1
        )
        table = make_predictions(records.rows.iloc[positions], labels, probabilities[:, 1])
        write_predictions(table, folder / f"predictions_{split}.csv")
        write_source(folder / f"predictions_{split}.csv", weights, recipe.evaluation.flips)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_metrics(table: pd.DataFrame, evaluation: Evaluation, path: Path) -> Metrics:
    """`compute_metrics` as the recipe asks for it, written and returned."""
    metrics = compute_metrics(
        table, aggregates=evaluation.aggregates, resampling=evaluation.resampling,
        rule=evaluation.operating_point, calibration=evaluation.calibration or None,
    )  # fmt: skip
    write_json(path, metrics.to_json())
    return metrics


def model_facts(recipe: Recipe, records: Records, metrics: Metrics, table: pd.DataFrame) -> dict[str, Any]:
    """What a model should say of itself: where it was trained, what it was trained to call positive, its thresholds."""
    trained = records.rows.iloc[records.positions("train")]
    levels = {level: numbers["threshold"]["value"] for level, numbers in metrics.get("validation", {}).items()}
    return {
        "recipe": recipe.name,
        "positives": list(recipe.evaluation.positives),
        "flips": recipe.evaluation.flips,
        "thresholds": {level: value for level, value in levels.items() if value is not None},
        "operating_point": recipe.evaluation.operating_point.words,
        **_calibration(recipe.evaluation.calibration, table[table["split"] == "validation"]),
        "training_domain": {
            column: sorted({value for value in trained[column] if value})
            for column in ("modality", "manufacturer", "site", "view")
        },
        "training_images": len(trained),
        "training_mean": float(np.mean(records.means[records.positions("train")])) if len(trained) else None,
        "records": records.digest,
    }


def _calibration(method: str, cases: pd.DataFrame) -> dict[str, Any]:
    """The calibration of image scores on validation and the share of positives there; nothing where there is none."""
    if not method:
        return {}
    try:
        found = calibrate(cases["label"], cases["score"], method)
    except MammoError:
        return {}  # the metrics say why
    return {"calibration": found.to_json(), "calibration_prevalence": float(cases["label"].mean())}


def score_as_it_came(
    origin: ModelFile, records: Records, recipe: Recipe, folder: Path, splits: Sequence[str] = EVALUATED
) -> pd.DataFrame:
    """Predictions of a model that is not trained here, on records, with its own intensities; as `predict_splits`.

    Raises:
        MammoError: `preprocessing_missing`.
    """
    if origin.preprocessing is None:
        raise MammoError("preprocessing_missing", "the model does not say how pictures are prepared")
    steps = Preprocessing(records.preprocessing.geometry_steps, origin.preprocessing.intensity_steps)
    model = origin.model
    if not fitting(model, steps):
        model = rebuild(model, input_shape=(*records.size, steps.channels))
    return predict_splits(model, records, steps, recipe, folder, splits)
