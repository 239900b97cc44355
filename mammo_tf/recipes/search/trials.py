"""One trial: a run folder of its own, trained as any recipe is, scored on validation alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions, write_predictions
from mammo_tf.files import disk_errors
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.run_folder import claim
from mammo_tf.recipes.runner import begun_with, train
from mammo_tf.recipes.scores import score_splits
from mammo_tf.recipes.search.objective import Objective
from mammo_tf.recipes.search.space import Space
from mammo_tf.recipes.search.trial_log import Begun, Ended
from mammo_tf.records import Records

Say = Callable[[str], None]
TRIALS, CHECKPOINTS, PREDICTIONS, LOG = "trials", "checkpoints", "predictions_validation.csv", "log.csv"
FAILURES = (  # what a trial's own values may bring about; anything else ends the search
    "loss_not_finite", "monitor_not_finite", "weights_not_finite", "score_not_finite", "recipe_wrong", "stage_wrong",
    "augmentation_wrong", "field_wrong",
)  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """What all trials of a search share.

    Attributes:
        recipe, space, objective: what is searched, and for what.
        records: prepared images.
        start: the model to start from.
        folder: of the search.
    """

    recipe: Recipe
    space: Space
    objective: Objective
    records: Records
    start: str | Path | None
    folder: Path

    def place(self, trial: str) -> Path:
        """The run folder of a trial."""
        return self.folder / TRIALS / trial

    def recipe_of(self, begun: Begun) -> Recipe:
        """The recipe of a trial; errors as `Space.changed`."""
        changed = self.space.changed(self.recipe, begun.labels)
        named = replace(changed, name=f"{self.recipe.name}_trial_{begun.trial}")
        return named if begun.epochs is None else shortened(named, begun.epochs)


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe as far as its first epochs, counted through its stages in order; stages behind are left out.

    Training it and then the recipe of more epochs in the same checkpoints is training the longer one: nothing in a
    stage depends on how long it might go on.

    Raises:
        MammoError: `search_wrong` for a recipe of several phases.
    """
    if len(recipe.phases) != 1:
        sentence = f"hyperband counts the epochs of one phase, and {recipe.name} has {len(recipe.phases)}"
        raise MammoError("search_wrong", sentence, "Search it by --method random or bayesian")
    stages, left = [], epochs
    for stage in recipe.stages:
        if left > 0:
            stages.append(replace(stage, epochs=min(stage.epochs, left)))
        left -= stage.epochs
    return replace(recipe, phases=(replace(recipe.phases[0], stages=tuple(stages)),))


def run_trial(ground: Ground, begun: Begun, say: Say) -> Ended:
    """Trains a trial, or goes on with it where it was stopped, and scores it on validation.

    Raises:
        MammoError: what `train` raises, but for what the trial's own values may bring about (`FAILURES`).
    """
    folder = ground.place(begun.trial)
    keras.utils.clear_session()
    try:
        recipe = ground.recipe_of(begun)
        if begun.after:
            _continue(ground, recipe, folder, ground.place(begun.after))
        trained = train(recipe, folder, ground.records, ground.start, say=say)
        assert trained.card.preprocessing is not None  # of a model that was trained
        table = score_splits(trained.model, trained.records, trained.card.preprocessing, recipe, None, ("validation",))
        write_predictions(table, folder / PREDICTIONS)
        score = ground.objective.score(validation_of(folder))
    except MammoError as error:
        if error.code not in FAILURES:
            raise
        return Ended(begun.trial, None, *_trained(folder), why=error.sentence)
    return Ended(begun.trial, score, *_trained(folder))


def validation_of(folder: Path) -> pd.DataFrame:
    """What a trial predicted."""
    return read_predictions(folder / PREDICTIONS)


def _continue(ground: Ground, recipe: Recipe, folder: Path, before: Path) -> None:
    """Takes over the checkpoints of a shorter trial: weights, optimiser, counters; whole or not."""
    asked = begun_with(recipe, ground.records, ground.start)[1]
    with claim(folder, recipe, asked):
        if (folder / CHECKPOINTS).exists():
            return
        for left in folder.glob(f".{CHECKPOINTS}.*"):  # of a kill
            shutil.rmtree(left)
        with disk_errors(folder), tempfile.TemporaryDirectory(dir=folder, prefix=f".{CHECKPOINTS}.") as beside:
            copy = Path(beside) / CHECKPOINTS
            shutil.copytree(before / CHECKPOINTS, copy, ignore=shutil.ignore_patterns("tensorboard"))
            copy.replace(folder / CHECKPOINTS)


def _trained(folder: Path) -> tuple[int, float]:
    """Epochs and seconds of a trial, as its curves tell."""
    try:
        curves = pd.read_csv(folder / LOG)
    except (OSError, ValueError):
        return 0, 0.0
    return len(curves), round(float(curves["seconds"].sum()), 1)
