"""Scores of the rungs: at the site, on patients that a trained rung has not learnt from, and at the old site."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from mammo_tf.adaptation.rungs.rung import Climbed, Rung, Say, Site
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions, write_predictions
from mammo_tf.files import digest, read_json, write_json
from mammo_tf.models import rebuild
from mammo_tf.recipes.proof import count_measurement
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.scores import EVALUATED, measured_as_it_came
from mammo_tf.recipes.start import SAY_MEAN, fitting
from mammo_tf.records import Records
from mammo_tf.training import Classification, ModelCard, ModelFile
from mammo_tf.training.tasks import Scoring

SEAL = "scores.json"
CROSS_VALIDATED, BLIND = "cross_validated.csv", "predictions_anywhere.csv"


def site_scores(model: ModelFile, site: Site, folder: Path) -> pd.DataFrame:
    """Predictions of validation and test, and of every training picture, labelled or not; read where they are there."""
    paths = [folder / f"predictions_{split}.csv" for split in ("train", *EVALUATED)]
    if not all(path.is_file() for path in (*paths, folder / "metrics.json")):
        found = measured_as_it_came(model, site.records, site.recipe, folder)
        enter_measurement(found.card, found.predictions, site, folder)
        # last: who finds it finds that the measurement was entered
        write_predictions(every_score(model, site.records, site.recipe, "train"), paths[0])
        _seal(*paths)
    return pd.concat([_sealed(path, unlabelled=True) for path in paths], ignore_index=True)


def _seal(*paths: Path) -> None:
    """Keeps digests of tables of one folder next to them: a digit that changes is not seen by who reads a table."""
    seal = paths[0].parent / SEAL
    write_json(seal, {"sha256": _digests(seal) | {path.name: digest(path) for path in paths}})


def _digests(seal: Path) -> dict[str, str]:
    """What is kept; nothing in a folder of before."""
    known = read_json(seal) if seal.is_file() else {}
    kept = known.get("sha256") if isinstance(known, dict) else None
    return kept if isinstance(kept, dict) else {}


def _sealed(path: Path, unlabelled: bool = False) -> pd.DataFrame:
    """A table that is as it was written.

    Raises:
        MammoError: `predictions_damaged`; those of `read_predictions`.
    """
    kept = _digests(path.parent / SEAL)
    if path.name in kept and kept[path.name] != digest(path):
        sentence = f"{path} is not what was written there"
        raise MammoError("predictions_damaged", sentence, "Remove it, and the rung is scored again")
    return read_predictions(path, unlabelled=unlabelled)


def enter_measurement(card: ModelCard, predictions: pd.DataFrame, site: Site, folder: Path) -> None:
    """Enters a measurement of the site's test split into the ledger of its data, as every run does.

    Args:
        card: of the model that was measured.
        predictions: of it, with test.
        site: where.
        folder: that holds the numbers.
    """
    test = predictions[predictions["split"] == "test"]
    count_measurement(site.data, card, site.recipe.name, folder, test)


def every_score(model: ModelFile, records: Records, recipe: Recipe, split: str) -> pd.DataFrame:
    """Predictions of all pictures of a split; the label of an unlabelled one is empty.

    Of masks those of labelled pictures alone: nothing else is asked of their scores.

    Raises:
        MammoError: `preprocessing_missing`.
    """
    if model.preprocessing is None:
        raise MammoError("preprocessing_missing", "the model does not say how pictures are prepared", SAY_MEAN)
    task = recipe.task
    steps = replace(records.preprocessing, intensity_steps=model.preprocessing.intensity_steps)
    positions = records.positions(split)
    if not isinstance(task, Classification):
        positions = positions[task.truth(records.rows.iloc[positions]) >= 0]
    size = recipe.scoring.size(records.size)
    network = model.model
    if not fitting(network, size, steps.channels):
        network = rebuild(network, input_shape=(*size, steps.channels))
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    scoring = Scoring(steps, recipe.training.batch_size, recipe.evaluation.flips, devices > 1, recipe.scoring)
    table = task.results(network, records, positions, scoring, None)
    return table.assign(label=table["label"].astype("Int64").where(table["label"] >= 0))


def matching_scores(model: ModelFile, site: Site, folder: Path, predictions: pd.DataFrame) -> pd.DataFrame:
    """Scores of the site's training pictures as if nothing were known of them; read where they are there.

    Args:
        model: of a rung.
        site: where.
        folder: of the rung whose scores these are.
        predictions: of it, as `site_scores` gives them; those of training are taken where no finding places them.
    """
    if looks_at_findings(site.recipe):
        path = folder / BLIND
        if not path.is_file():
            write_predictions(every_score(model, site.records, blind(site.recipe), "train"), path)
            _seal(path)
        return _sealed(path, unlabelled=True)
    return predictions[predictions["split"] == "train"]


def looks_at_findings(recipe: Recipe) -> bool:
    """Whether what is scored of a picture hangs on its findings: patches do that are measured on them."""
    return recipe.scoring.blind() != recipe.scoring


def blind(recipe: Recipe) -> Recipe:
    """The recipe that scores pictures as if nothing were known of them."""
    return replace(recipe, evaluation=replace(recipe.evaluation, plan=recipe.scoring.blind()))


def choosing_scores(rung: Rung, climbed: pd.DataFrame, site: Site, folds: int | None, say: Say) -> pd.DataFrame:
    """Predictions that a rung is judged by when one is chosen, none of a picture that it learnt from.

    Args:
        rung: which.
        climbed: its predictions at the site, as `site_scores` gives them.
        site: where.
        folds: None takes validation; else labelled patients of training and validation by cross-validation, which
            only a rung that trains needs: others have not looked at a label of theirs.
        say: is told in a line what happens.
    """
    if folds is None:
        return climbed[climbed["split"] == "validation"].reset_index(drop=True)
    if not rung.trains:
        known = climbed[climbed["split"].isin(["train", "validation"]) & (climbed["label"] >= 0)]
        return known.assign(split="validation").reset_index(drop=True)
    folder = site.rung_folder(rung.name)
    if not (folder / CROSS_VALIDATED).is_file():
        parts = []
        for number in range(folds):
            say(f"fold {number + 1} of {folds}")
            part = replace(site, records=fold(site, folds, number))
            found = rung.climb(part, folder / f"fold_{number + 1}", say)
            parts.append(_scored(found, part))
        pooled = pd.concat(parts, ignore_index=True).assign(split="validation")
        write_predictions(pooled, folder / CROSS_VALIDATED)
        _seal(folder / CROSS_VALIDATED)
    return _sealed(folder / CROSS_VALIDATED)


def _scored(found: Climbed, part: Site) -> pd.DataFrame:
    table = every_score(found.model, part.records, part.recipe, "test")
    return table[table["label"].notna()].astype({"label": np.int64})


def fold(site: Site, folds: int, number: int) -> Records:
    """The records with labelled patients of training and validation split anew: one fold to be scored (`test`), the
    next to stop the training (`validation`), the others and all unlabelled patients to learn from; test is left out.

    Patients are dealt by turns, positive ones first, in the order of the seed.

    Raises:
        MammoError: `folds_wrong` where a class has fewer patients than there are folds.
    """
    rows = site.records.rows
    truth = site.recipe.task.truth(rows)
    used = rows["split"].isin(["train", "validation"]).to_numpy()
    labelled = rows[used & (truth >= 0)]
    positive = pd.Series(truth[used & (truth >= 0)], labelled.index).groupby(labelled["patient_id"]).max()
    generator = np.random.default_rng(site.settings.training.seed)
    dealt: dict[str, int] = {}
    for value in (1, 0):
        patients = generator.permutation(sorted(positive.index[positive == value].astype(str)))
        if len(patients) < folds:
            what = "positive" if value else "negative"
            sentence = f"{len(patients)} {what} labelled patients of training and validation make no {folds} folds"
            raise MammoError(
                "folds_wrong", sentence, "Set folds lower, or least_positives to 0 to choose on validation"
            )
        dealt |= {patient: len(dealt) + place for place, patient in enumerate(patients.tolist())}
    place = rows["patient_id"].astype(str).map({patient: at % folds for patient, at in dealt.items()})
    split = np.where(used, "train", "")
    split = np.where(used & (place == number).to_numpy(), "test", split)
    split = np.where(used & (place == (number + 1) % folds).to_numpy(), "validation", split)
    kept = np.flatnonzero(used)
    return site.records.with_rows(rows.assign(split=split)).part(kept)


def old_scores(climbed: Climbed, old: Records, site: Site, folder: Path) -> pd.DataFrame:
    """Predictions of the old site's test split by what the old site's pictures get after a rung."""
    path = folder / "old" / "predictions_test.csv"
    if not (path.is_file() and (path.parent / "metrics.json").is_file()):
        measured_as_it_came(climbed.at_the_old_site(site.model), old, site.recipe, path.parent, ("test",))
        _seal(path)
    return _sealed(path)
