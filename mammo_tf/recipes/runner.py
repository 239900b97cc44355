"""The runner: strings the rooms together, from a recipe and data to a run folder. `train` and `measure` stand alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mammo_tf.data.sampling import Cases
from mammo_tf.errors import MammoError
from mammo_tf.files import LOCK, digest, locked
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import rebuild, started_as
from mammo_tf.recipes.before import compare_with_start, prove
from mammo_tf.recipes.inputs import network_input, open_data, with_mean
from mammo_tf.recipes.matching import digests_of_matching, left_unmatched, other_machines
from mammo_tf.recipes.proof import known_patients
from mammo_tf.recipes.recipe import Phase, Recipe
from mammo_tf.recipes.results import RunResult, Trained
from mammo_tf.recipes.run_folder import claim
from mammo_tf.recipes.scores import measured, trained_card
from mammo_tf.recipes.start import check_channels, check_start, fitting, load_start
from mammo_tf.recipes.training_domain import with_domain
from mammo_tf.records import Records, open_records
from mammo_tf.study import SPLITS, UNLABELLED
from mammo_tf.training import Material, ModelCard, ModelFile, Stage, fit_stage, make_strategy, save_model, write_log
from mammo_tf.training.devices import check_shared, replicas
from mammo_tf.training.model_file import is_whole, read_card
from mammo_tf.training.stages import better_when

Say = Callable[[str], None]


def run(
    recipe: Recipe,
    folder: str | Path,
    data: str | Path,
    start: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    say: Say = lambda line: None,
    root: str | Path | None = None,
) -> RunResult:
    """Runs a recipe: `train`, then `measure`. Run again in the same folder it continues where it was stopped.

    Leaves `recipe.json environment.json log.csv checkpoints/ model.keras predictions_<split>.csv
    predictions_<split>.json metrics.json proof.json` in the run folder, and with a start model `before/` and
    `comparison.json`; and a line in the ledger of the data folder (`records.ledger`).

    Args:
        recipe: what to do.
        folder: the run folder.
        data: a folder of records, or a manifest.
        start: the model to start from; counts before the recipe's own.
        workers: processes, where a manifest is prepared.
        overwrite: remove the run of another recipe.
        say: is told in a line what happens.
        root: data root of a manifest; by default its folder.

    Raises:
        MammoError: see `train`.
    """
    folder, origin, asked = _begun(recipe, folder, data, start)
    with claim(folder, recipe, asked, overwrite):
        return measure(_trained(recipe, folder, data, origin, workers, say, root), recipe, say)


def train(
    recipe: Recipe,
    folder: str | Path,
    data: str | Path | Records,
    start: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    say: Say = lambda line: None,
    root: str | Path | None = None,
) -> Trained:
    """Goes through the phases of a recipe; nothing is measured but validation. Arguments as for `run`.

    `data` may be records that are open, as those with other splits than their folder has (`Records.with_rows`).

    Raises:
        MammoError: `start_missing`, `start_unwanted`, `start_unfit`, `start_saw_patients`, `channels_differ`,
            `size_too_small`, `batch_undivided`, `precision_unsafe`, `outputs_wrong` where the network's outputs are
            not the task's, and what the rooms on the way raise.
    """
    folder, origin, asked = _begun(recipe, folder, data, start)
    with claim(folder, recipe, asked, overwrite):
        return _trained(recipe, folder, data, origin, workers, say, root)


def measure(trained: Trained, recipe: Recipe, say: Say = lambda line: None) -> RunResult:
    """Measures what `train` left on validation and test, and the start model next to it; writes the model.

    Args:
        trained: the model and its records.
        recipe: says how.
        say: is told in a line what happens.

    Raises:
        MammoError: `folder_busy`, and what the rooms on the way raise.
    """
    folder, records = trained.folder, trained.records
    with locked(folder / LOCK, folder):
        found = measured(trained.model, records, trained.card, recipe, folder)
        if recipe.phases:
            card = with_domain(found.card, trained.model, records, recipe, found.predictions)
            found = replace(found, card=card)
        if not _holds(
            folder / "model.keras", found.card
        ):  # a finished run keeps its file: others know it by its digest
            save_model(folder / "model.keras", trained.model, found.card)
        comparison, remarks = compare_with_start(trained, recipe, found, say)
        prove(trained, recipe, found, remarks, say)
    return RunResult(
        folder, found.metrics, comparison, trained.model, found.card, records, found.predictions, recipe.scoring
    )


def _begun(
    recipe: Recipe, folder: str | Path, data: str | Path | Records, start: str | Path | None
) -> tuple[Path, ModelFile | None, dict[str, str]]:
    """The run folder, the start model, and what decides the result next to the recipe; refusals before any work."""
    start = start or recipe.start
    if start is None and recipe.needs_start:
        raise MammoError(
            "start_missing", f"the recipe {recipe.name} needs a model to start from",
            "Name one with --start: a run folder of end2end_baseline, a .keras file, or a published .h5",
        )  # fmt: skip
    if start is not None and recipe.from_nothing:
        raise MammoError(
            "start_unwanted", f"the recipe {recipe.name} begins with a network of its own, not with {start}",
            "Leave out --start, or take a recipe that trains on",
        )  # fmt: skip
    origin = load_start(start) if start is not None else None
    if origin is not None:
        check_start(origin, str(start), recipe.task)
    asked = {
        "data": data.digest if isinstance(data, Records) else digest_of_input(Path(data)),
        "start": "" if origin is None else origin.card.sealed(origin.model).identity,
        **digests_of_matching(recipe),
    }
    return Path(folder), origin, asked


def _trained(
    recipe: Recipe,
    folder: Path,
    data: str | Path | Records,
    origin: ModelFile | None,
    workers: int,
    say: Say,
    root: str | Path | None,
) -> Trained:
    """The training itself, in a folder that is its own."""
    records, geometry = open_data(data, folder, origin, recipe, workers, say, root)
    start_patients = "" if origin is None else known_patients(origin.card, records)
    steps = network_input(recipe, records, origin, geometry)
    if origin is not None:
        check_channels(origin, steps)
    for remark in filter(None, (left_unmatched(origin, steps), other_machines(recipe, records))):
        say(remark)
    say(f"{len(records)} images of {records.size[0]}x{records.size[1]} pixels, {_counts(records, recipe)}")
    model = _Trainer(recipe, folder, records, steps, say).all_phases(origin)
    finished = rebuild(model, dtype="float32", synchronized=False)  # for serving: no optimiser, one device
    final = steps if recipe.evaluation.mean is None else with_mean(steps, recipe.evaluation.mean)
    card = trained_card(recipe, records, final, origin)
    place = None if root is None else Path(root)
    given = data.folder if isinstance(data, Records) else Path(data)
    return Trained(folder, finished, card, records, origin, start_patients, given, place, workers)


def digest_of_input(path: Path) -> str:
    """What tells records (by what they hold), a run's model or a file from any other: SHA-256.

    Raises:
        MammoError: `file_missing`; those of `open_records`.
    """
    if (path / "index.json").is_file():
        return open_records(path).digest
    if (path / "model.keras").is_file():
        return digest(path / "model.keras")
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there or holds no records and no model")
    return digest(path)


def cases_of(records: Records, recipe: Recipe, split: str) -> Cases:
    """The labelled pictures of a split."""
    positions = records.positions(split)
    labels = recipe.task.truth(records.rows.iloc[positions])
    return Cases(positions[labels != UNLABELLED], labels[labels != UNLABELLED], recipe.task.wanted)


def _counts(records: Records, recipe: Recipe) -> str:
    parts = []
    for split in SPLITS:
        labels = cases_of(records, recipe, split).labels
        unlabelled = len(records.positions(split)) - len(labels)
        more = f", {unlabelled} unlabelled" if unlabelled else ""
        parts.append(f"{split} {len(labels)} ({int(labels.sum())} positive{more})")
    return ", ".join(parts)


class _Trainer:
    """The phases of one run: their material, their folders, and the curve of all of them."""

    def __init__(self, recipe: Recipe, folder: Path, records: Records, steps: Preprocessing, say: Say) -> None:
        self.recipe, self.folder, self.records, self.steps, self.say = recipe, folder, records, steps, say
        self.strategy = make_strategy()
        for phase in recipe.phases:
            batch_size = phase.batch_size or recipe.training.batch_size
            clipped = any(stage.clip_norm is not None for stage in phase.stages)
            check_shared(batch_size, recipe.training.precision, replicas(self.strategy), clipped)
        self.history: list[dict[str, Any]] = []
        self.stages = 0

    def all_phases(self, origin: ModelFile | None) -> keras.Model:
        """The network after its last phase."""
        model = None if origin is None else self._started(origin)
        network = None if origin is None else started_as(self.recipe.network, origin.model)
        for number, phase in enumerate(self.recipe.phases):
            wanted = phase.network or self.recipe.network
            if model is None or wanted != network:
                keras.utils.set_random_seed(self.recipe.training.seed + number)
                shape = (*phase.plan.size(self.records.size), self.steps.channels)
                with self.strategy.scope():
                    model = wanted.build(shape) if model is None else wanted.grow(model, shape)
                network = wanted
            model = _of_size(model, phase.plan.size(self.records.size))
            self.recipe.task.check_network(model, f"the network {wanted.kind}", phase.plan.class_count)
            material = self._material(phase)
            for stage in phase.stages:
                model = self._stage(model, stage, material)
        if model is None:
            keras.utils.set_random_seed(self.recipe.training.seed)
            model = self.recipe.network.build((*self.recipe.scoring.size(self.records.size), self.steps.channels))
        model = _of_size(model, self.recipe.scoring.size(self.records.size))
        self.recipe.task.check_network(model, f"the network {self.recipe.network.kind}")
        return model

    def _started(self, origin: ModelFile) -> keras.Model:
        keras.utils.set_random_seed(self.recipe.training.seed)
        plans = [phase.plan for phase in self.recipe.phases] or [self.recipe.scoring]
        size = plans[0].size(self.records.size)
        if fitting(origin.model, size, self.steps.channels):
            return origin.model
        return rebuild(origin.model, input_shape=(*size, self.steps.channels))

    def _material(self, phase: Phase) -> Material:
        training = self.recipe.training
        cases = {split: cases_of(self.records, self.recipe, split) for split in ("train", "validation")}
        augmentation = phase.augmentation or training.augmentation
        balanced = training.class_balance == "balanced_sampling"
        plans = phase.plan.plans(self.records, cases, augmentation, balanced, training.seed)
        return Material(
            self.records, self.steps, *plans, phase.batch_size or training.batch_size,
            training.class_balance == "batch_weights", self.recipe.task,
        )  # fmt: skip

    def _stage(self, model: keras.Model, stage: Stage, material: Material) -> keras.Model:
        """Runs one stage, or reads it if it is finished."""
        before = list(self.history)

        def on_epoch(history: list[dict[str, Any]]) -> None:
            write_log([*before, *history], self.folder / "log.csv")

        folder = self.folder / "checkpoints" / stage.name
        precision = self.recipe.training.precision
        model, history = fit_stage(model, stage, material, folder, self.strategy, precision, on_epoch, self.stages)
        self.stages += 1
        self.history = [*before, *history]
        write_log(self.history, self.folder / "log.csv")
        sign = 1 if better_when(stage.kept) == "min" else -1
        best = min(history, key=lambda row: sign * row[stage.kept])
        monitors = self.recipe.task.monitors
        figures = [f"{word} {best[name]:.3f}" for name, word in monitors.items() if name in best]
        figures += [f"of the loss {best['penalty']:.3f} weight penalty"] if best.get("penalty") else []
        self.say(f"stage {stage.name}: {len(history)} epochs, best {best['epoch']}: validation {', '.join(figures)}")
        return model


def _of_size(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The same network for pictures of another size, where it was built for one."""
    taken = tuple(model.inputs[0].shape[1:])
    if taken[:2] in (size, (None, None)):
        return model
    return rebuild(model, input_shape=(*size, taken[2]))


def _holds(path: Path, card: ModelCard) -> bool:
    """Whether a model file is there, whole, and of the weights that were measured."""
    return path.is_file() and is_whole(path) and read_card(path).weights == card.weights
