"""The phases and stages of a run, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mammo_tf.data.feeding import Feeders
from mammo_tf.data.sampling import Cases
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import rebuild, started_as
from mammo_tf.recipes.recipe import Phase, Recipe
from mammo_tf.recipes.start import fitting
from mammo_tf.records import Records
from mammo_tf.study import UNLABELLED
from mammo_tf.training import Material, ModelFile, Stage, fit_stage, make_strategy, write_log
from mammo_tf.training.cluster import is_first
from mammo_tf.training.devices import check_shared, replicas
from mammo_tf.training.stages import better_when

Say = Callable[[str], None]


class Trainer:
    """The phases of one run: their material, their folders, and the curve of all of them."""

    def __init__(
        self, recipe: Recipe, folder: Path, records: Records, steps: Preprocessing, say: Say,
        feeders: Feeders | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.folder, self.records, self.steps, self.say = recipe, folder, records, steps, say
        self.feeders = feeders
        self.strategy = make_strategy()
        for phase in recipe.phases:
            batch_size = phase.batch_size or recipe.training.batch_size
            clipped = any(stage.clip_norm is not None for stage in phase.stages)
            averaged = any(stage.average is not None for stage in phase.stages)
            check_shared(batch_size, recipe.training.computation, replicas(self.strategy), clipped, averaged)
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
            material = replace(material_of(self.recipe, phase, self.records, self.steps), feeders=self.feeders)
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

    def _stage(self, model: keras.Model, stage: Stage, material: Material) -> keras.Model:
        """Runs one stage, or reads it if it is finished."""
        before = list(self.history)

        def on_epoch(history: list[dict[str, Any]]) -> None:
            write_log([*before, *history], self.folder / "log.csv")

        folder = self.folder / "checkpoints" / stage.name
        computation = self.recipe.training.computation
        model, history = fit_stage(model, stage, material, folder, self.strategy, computation, on_epoch, self.stages)
        self.stages += 1
        self.history = [*before, *history]
        if is_first(self.strategy):
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


def material_of(recipe: Recipe, phase: Phase, records: Records, steps: Preprocessing) -> Material:
    """What the stages of a phase are trained and validated on.

    Args:
        recipe: of the phase.
        phase: says what an epoch sees.
        records: prepared images.
        steps: from them to the network's input.
    """
    training = recipe.training
    cases = {split: cases_of(records, recipe, split) for split in ("train", "validation")}
    augmentation = phase.augmentation or training.augmentation
    balanced = training.class_balance == "balanced_sampling"
    plans = phase.plan.plans(records, cases, augmentation, balanced, training.seed)
    batch_size, weighed = phase.batch_size or training.batch_size, training.class_balance == "batch_weights"
    return Material(records, steps, *plans, batch_size, weighed, recipe.task)


def cases_of(records: Records, recipe: Recipe, split: str) -> Cases:
    """The labelled pictures of a split."""
    positions = records.positions(split)
    labels = recipe.task.truth(records.rows.iloc[positions])
    return Cases(positions[labels != UNLABELLED], labels[labels != UNLABELLED], recipe.task.wanted)
