"""The training domain that a model's card gets at the end of a run: pictures, scores on validation, features."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.data.sampling import Cases
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.levels import aggregates_in_force, at_level, measured_levels
from mammo_tf.evaluation.patient_facts import KNOWN, density_counts, known_of
from mammo_tf.evaluation.vector_tests import known_moments, moments, patient_labels, patient_means, principal_axes
from mammo_tf.imaging.bands import SCALES
from mammo_tf.imaging.domain_distance import DomainDistance, fit, levels_of
from mammo_tf.imaging.periphery import SCALES as WINDOWS
from mammo_tf.imaging.periphery import PeripheryStatistics
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import feature_model
from mammo_tf.recipes.recipe import Evaluation, Recipe
from mammo_tf.records import Records
from mammo_tf.records.picture_vectors import (
    QUANTILES,
    domain_vectors,
    median_spacing,
    picture_vectors,
    some_patients,
)
from mammo_tf.study import UNLABELLED
from mammo_tf.training import ModelCard, predict_probabilities
from mammo_tf.training.tasks import AnyTask, Classification
from mammo_tf.training.tasks.task import Scoring
from mammo_tf.training.training_domain import (
    BandStatistics,
    Distribution,
    Embedding,
    Histogram,
    PatientFacts,
    PictureSpread,
    Spread,
    TrainingDomain,
    rounded,
)

IMAGES = 200  # that are looked at, of training and of validation each
BINS = 200  # of the histogram of scores
FEWEST = 2  # patients: of fewer there is no covariance


def with_domain(
    card: ModelCard, model: keras.Model, records: Records, recipe: Recipe, table: pd.DataFrame
) -> ModelCard:
    """The card with what training pictures are like, with the scores of validation and with the features there.

    Up to `IMAGES` pictures of either split are looked at, of whole patients who are drawn under a fixed seed. Nothing
    of the network changes, and its identity does not hang on the domain.

    Args:
        card: of a model that was trained on `records`, measured.
        model: the network.
        records, recipe: of the run.
        table: predictions of the run.
    """
    assert card.preprocessing is not None  # else nothing was measured
    steps, domain = card.preprocessing, card.training_domain
    domain = _with_pictures(domain, records, steps, recipe.task)
    domain = replace(
        domain,
        validation_scores=score_histogram(table[table["split"] == "validation"], recipe.evaluation),
        embedding=_embedding(model, records, steps, recipe),
        distance=None if card.patch or card.tiling else _distance(domain.distribution, records, steps),
    )
    return replace(card, training_domain=domain)


def _distance(grey: Distribution | None, records: Records, steps: Preprocessing) -> DomainDistance | None:
    """By training pictures, its limit by those of validation; None of too few, and without any that is not black."""
    if grey is None:
        return None
    training, validation = (
        some_patients(records, records.positions(split), IMAGES) for split in ("train", "validation")
    )
    levels = rounded(levels_of(grey.values))
    vectors = [domain_vectors(records, positions, steps, levels) for positions in (training, validation)]
    try:
        return fit(levels, *vectors)
    except MammoError:
        return None


def _with_pictures(domain: TrainingDomain, records: Records, steps: Preprocessing, task: AnyTask) -> TrainingDomain:
    positions = some_patients(records, records.positions("train"), IMAGES)
    found = picture_vectors(records, positions, steps)
    pixels = "breast" if found.masked else "not black"
    distribution = Distribution(rounded(found.cdf), found.images, pixels) if found.images else None
    if not len(found.positions):
        return replace(domain, distribution=distribution)
    statistics = zip(np.median(found.robust, axis=0), np.mean(found.plain, axis=0), strict=True)
    spacing = median_spacing(records, found.positions)
    bands = BandStatistics(SCALES, spacing, tuple(map(rounded, statistics)), len(found.positions))
    spread = spread_of(found.values, records, found.positions, task)
    pictures = None if spread is None else PictureSpread(
        QUANTILES, SCALES, spread, len(found.positions)
    )  # fmt: skip
    return replace(
        domain, distribution=distribution, bands=bands, pictures=pictures, periphery=_periphery(found.profiles)
    )


def _periphery(profiles: NDArray[np.float64]) -> PeripheryStatistics | None:
    """The median over pictures at those windows that breasts are wide enough for."""
    kept = [number for number in range(len(WINDOWS)) if not np.isnan(profiles[:, number]).all(axis=0).any()]
    if not kept:
        return None
    levels = tuple(rounded(np.nanmedian(profiles[:, number], axis=0)) for number in kept)
    return PeripheryStatistics(tuple(WINDOWS[number] for number in kept), levels, len(profiles))


def spread_of(
    values: NDArray[np.float64], records: Records, positions: NDArray[np.int64], task: AnyTask
) -> Spread | None:
    """Mean and covariance over patients of vectors of pictures, with the classes' difference; None of one patient.

    Args:
        values: a vector a picture, `[n, ...]`.
        records, positions: of which pictures.
        task: says who is positive.
    """
    rows = records.rows.iloc[positions]
    vectors = patient_means(values, rows["patient_id"])
    if len(vectors) < FEWEST:
        return None
    labels = patient_labels(task.truth(rows), rows["patient_id"])
    return replace(Spread.of(moments(vectors, labels)), facts=_facts(vectors, rows, labels))


def _facts(vectors: NDArray[np.float64], rows: pd.DataFrame, labels: NDArray[np.int64]) -> PatientFacts | None:
    """Age and density of the patients of some rows, where they are told of all."""
    known = patient_means(known_of(rows), rows["patient_id"])
    densities = density_counts(known)
    told = np.flatnonzero(np.isfinite(known).all(axis=0))
    if not len(told):
        return None
    found = known_moments(vectors, known[:, told], labels)
    return PatientFacts(
        tuple(KNOWN[column] for column in told), rounded(found.mean),
        tuple(map(rounded, found.covariance)), tuple(map(rounded, found.with_vectors)),
        () if found.direction is None else rounded(found.direction),
        () if densities is None else tuple(densities.tolist()),
    )  # fmt: skip


def _embedding(model: keras.Model, records: Records, steps: Preprocessing, recipe: Recipe) -> Embedding | None:
    """The features of validation pictures; None for other tasks than classification and networks without such."""
    if not isinstance(recipe.task, Classification):
        return None
    positions = records.positions("validation")
    positions = positions[recipe.task.truth(records.rows.iloc[positions]) != UNLABELLED]
    positions = some_patients(records, positions, IMAGES)
    scoring = Scoring(steps, recipe.training.batch_size, sampling=recipe.scoring)
    found = features_of(model, records, positions, scoring, recipe.task)
    if found is None:
        return None
    places, features = found
    patients = records.rows["patient_id"].to_numpy()[places]
    vectors = patient_means(features, patients)
    if len(vectors) < FEWEST:
        return None
    axes, mean = principal_axes(vectors), vectors.mean(axis=0)
    spread = spread_of((features - mean) @ axes.T, records, places, recipe.task)
    return None if spread is None else Embedding(rounded(mean), tuple(map(rounded, axes)), spread, len(positions))


def features_of(
    model: keras.Model, records: Records, positions: NDArray[np.int64], scoring: Scoring, task: Classification
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Positions and features of what a classifier scores of some pictures; None where it has no features.

    Args:
        model: the network.
        records, positions: which pictures.
        scoring: how they are scored.
        task: of the network.

    Returns:
        int64 `[n]`, float64 `[n, features]`.
    """
    network = feature_model(model)
    if network is None or not len(positions):
        return None
    labels = task.truth(records.rows.iloc[positions])
    plan = scoring.sampling.scoring_plan(records, Cases(positions, labels, task.wanted))
    features = predict_probabilities(network, records, plan, scoring.batch_size, scoring.preprocessing)
    return plan.epoch(0).positions, features


def score_histogram(table: pd.DataFrame, evaluation: Evaluation) -> Histogram | None:
    """Scores by class, at the coarsest level that the predictions tell; None where there are none.

    Args:
        table: predictions of labelled pictures.
        evaluation: says how scores are put together.
    """
    if table.empty:
        return None
    level = measured_levels(table, evaluation.pool_exams)[-1]
    cases = at_level(table, level.name, evaluation.aggregates)
    if cases is None:
        return None
    scores, positive = cases["score"].to_numpy(np.float64), cases["label"].to_numpy() == 1
    edges = _edges(scores)
    places = np.searchsorted(edges[1:-1], scores, side="left")
    counts = [np.bincount(places[part], minlength=len(edges) - 1) for part in (positive | ~positive, positive)]
    every, sick = (tuple(int(count) for count in one) for one in counts)
    named = aggregates_in_force(table, evaluation.aggregates, evaluation.pool_exams)
    return Histogram(tuple(edges.tolist()), every, len(table), sick, level.name, named)


def _edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rising, from 0 to 1 and as far beyond as scores reach, between them the scores at even ranks."""
    ends = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    ranks = np.quantile(scores, np.linspace(0, 1, BINS), method="closest_observation")
    inner = np.unique(np.asarray(rounded(ranks)))
    return np.array([ends[0], *(edge for edge in inner if ends[0] < edge < ends[1]), ends[1]])
