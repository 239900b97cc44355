"""The runner: strings the rooms together, from a recipe and data to a run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from mammo_tf.data import NO_AUGMENTATION, Patches, WholeImages, image_labels, patch_sheets
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, compare
from mammo_tf.files import digest, write_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import end2end, end2end_from_patch, patch_classifier, rebuild
from mammo_tf.recipes.inputs import network_input, open_data, with_mean
from mammo_tf.recipes.recipe import PatchTraining, Recipe
from mammo_tf.recipes.run_folder import claim
from mammo_tf.recipes.scores import model_facts, predict_splits, score_as_it_came, write_metrics
from mammo_tf.recipes.start import check_channels, check_start, fitting, load_start
from mammo_tf.records import Records
from mammo_tf.training import (
    Material,
    ModelFile,
    Stage,
    fit_stage,
    make_strategy,
    save_model,
    write_log,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: the run folder.
        metrics: content of `metrics.json`.
        comparison: content of `comparison.json`: this model against the start model on the same images; empty without.
        model, preprocessing: what `model.keras` holds.
        records: what it was run on.
        predictions: of validation and test.
    """

    folder: Path
    metrics: Metrics
    comparison: Metrics
    model: keras.Model
    preprocessing: Preprocessing
    records: Records
    predictions: pd.DataFrame


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
    """Runs a recipe and leaves `recipe.json environment.json log.csv checkpoints/ model.keras predictions_<split>.csv
    predictions_<split>.json metrics.json` in the run folder, and with a start model `before/` and `comparison.json`.

    Run again in the same folder it goes on where it was stopped.

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
        MammoError: `start_missing`, `start_unfit`, `channels_differ`, `size_too_small`, and what the rooms on the way
            raise.
    """
    folder, start = Path(folder), start or recipe.start
    if start is None and recipe.needs_start:
        raise MammoError(
            "start_missing", f"the recipe {recipe.name} needs a model to start from",
            "Name one with --start: a run folder of end2end_baseline, a .keras file, or a published .h5",
        )  # fmt: skip
    origin = load_start(start) if start is not None else None
    if origin is not None:
        check_start(origin, str(start))
    asked = {"data": digest_of_input(Path(data)), "start": "" if start is None else digest_of_input(Path(start))}
    claim(folder, recipe, asked, overwrite)
    records, geometry = open_data(data, folder, origin, recipe, workers, say, root)
    steps = network_input(recipe, records, origin, geometry)
    if origin is not None:
        check_channels(origin, steps)
    say(f"{len(records)} images of {records.size[0]}x{records.size[1]} pixels, {_counts(records, recipe)}")

    trainer = _Trainer(recipe, folder, records, steps, say)
    model = trainer.beginning(origin)
    for stage in recipe.stages:
        model = trainer.stage(model, stage, trainer.whole_images())
    finished = rebuild(model, dtype="float32", synchronized=False)  # for serving: no optimiser, one device
    final = steps if recipe.evaluation.mean is None else with_mean(steps, recipe.evaluation.mean)
    table = predict_splits(finished, records, final, recipe, folder)
    metrics = write_metrics(table, recipe.evaluation, folder / "metrics.json")
    if not (folder / "model.keras").is_file():  # a finished run keeps its file, which later runs know by its digest
        facts = model_facts(recipe, records, metrics, table)
        if origin is not None and not recipe.stages:  # nothing was trained here: the model is still of its own domain
            facts |= {name: value for name, value in origin.facts.items() if name.startswith("training_")}
        save_model(folder / "model.keras", finished, final, **facts)
    comparison = _before(origin, records, recipe, folder, table, say)
    return RunResult(folder, metrics, comparison, finished, final, records, table)


def digest_of_input(path: Path) -> str:
    """What tells records, a run's model or a file from any other: SHA-256.

    Raises:
        MammoError: `file_missing`.
    """
    for inside in ("index.json", "model.keras"):
        if (path / inside).is_file():
            return digest(path / inside)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there or holds no records and no model")
    return digest(path)


def _counts(records: Records, recipe: Recipe) -> str:
    parts = []
    for split in ("train", "validation", "test"):
        labels = image_labels(records, records.positions(split), recipe.evaluation.positives)
        parts.append(f"{split} {len(labels)} ({int(labels.sum())} positive)")
    return ", ".join(parts)


class _Trainer:
    """The stages of one run: their material, their folders, and the curve of all of them."""

    def __init__(self, recipe: Recipe, folder: Path, records: Records, steps: Preprocessing, say: Say) -> None:
        self.recipe, self.folder, self.records, self.steps, self.say = recipe, folder, records, steps, say
        self.strategy = make_strategy()
        self.history: list[dict[str, Any]] = []

    def beginning(self, origin: ModelFile | None) -> keras.Model:
        """The whole-image model before its first stage."""
        recipe, network = self.recipe, self.recipe.network
        shape = (*self.records.size, self.steps.channels)
        keras.utils.set_random_seed(recipe.training.seed)
        if origin is not None:
            same = fitting(origin.model, self.steps)
            return origin.model if same else rebuild(origin.model, input_shape=shape)
        if recipe.patch is None:
            return end2end(network.backbone, network.top, shape, network.width, recipe.dropout, recipe.weight_decay)
        patch = self._patch_model(recipe.patch)
        keras.utils.set_random_seed(recipe.training.seed + 1)
        return end2end_from_patch(patch, network.top, shape, recipe.dropout, recipe.weight_decay)

    def _patch_model(self, patch: PatchTraining) -> keras.Model:
        network, training = self.recipe.network, self.recipe.training
        classes = max(patch.classes.values()) + 1
        shape = (patch.rows, patch.columns, self.steps.channels)
        with self.strategy.scope():
            model = patch_classifier(network.backbone, shape, classes, network.width, patch.dropout, patch.weight_decay)
        plans = []
        for split in ("train", "validation"):
            sheets = patch_sheets(self.records, self.records.positions(split), patch.classes, training.seed)
            plans.append(
                Patches(
                    sheets, shape[:2], self.records.size, classes, patch.lesion_patches, patch.background_patches,
                    patch.jitter, patch.augmentation if split == "train" else NO_AUGMENTATION,
                    shuffle=split == "train", seed=training.seed,
                )
            )  # fmt: skip
        material = Material(
            self.records, self.steps, plans[0], plans[1], patch.batch_size, training.class_balance == "batch_weights"
        )  # fmt: skip
        for stage in patch.stages:
            model = self.stage(model, stage, material)
        return model

    def whole_images(self) -> Material:
        """Whole pictures of train and validation."""
        training = self.recipe.training
        plans = []
        for split in ("train", "validation"):
            positions = self.records.positions(split)
            labels = image_labels(self.records, positions, self.recipe.evaluation.positives)
            learns = split == "train"
            plans.append(
                WholeImages(
                    positions, labels, self.records.size, training.augmentation if learns else NO_AUGMENTATION,
                    shuffle=learns, balanced=learns and training.class_balance == "balanced_sampling",
                    seed=training.seed,
                )
            )  # fmt: skip
        balance = training.class_balance == "batch_weights"
        return Material(self.records, self.steps, plans[0], plans[1], training.batch_size, balance)

    def stage(self, model: keras.Model, stage: Stage, material: Material) -> keras.Model:
        """Runs one stage, or reads it if it is finished."""
        before = list(self.history)

        def on_epoch(history: list[dict[str, Any]]) -> None:
            write_log([*before, *history], self.folder / "log.csv")

        folder = self.folder / "checkpoints" / stage.name
        precision = self.recipe.training.precision
        model, history = fit_stage(model, stage, material, folder, self.strategy, precision, on_epoch)
        self.history = [*before, *history]
        write_log(self.history, self.folder / "log.csv")
        best = min(history, key=lambda row: row["val_loss"] if stage.monitor == "val_loss" else -row["val_auc"])
        found = f"validation loss {best['val_loss']:.3f}" + (
            f", AUC {best['val_auc']:.3f}" if "val_auc" in best else ""
        )
        self.say(f"stage {stage.name}: {len(history)} epochs, best {best['epoch']}: {found}")
        return model


def _before(
    origin: ModelFile | None, records: Records, recipe: Recipe, folder: Path, after: pd.DataFrame, say: Say
) -> Metrics:
    """The start model on the same images, as it came, and the paired difference."""
    if origin is None or not (recipe.stages or recipe.patch):
        return Metrics()
    if origin.preprocessing is None:
        say("the start model does not say how pictures are prepared, so it is not compared")
        return Metrics()
    table = score_as_it_came(origin, records, recipe, folder / "before")
    write_metrics(table, recipe.evaluation, folder / "before" / "metrics.json")
    evaluation = recipe.evaluation
    comparison = compare(table, after, aggregates=evaluation.aggregates, resampling=evaluation.resampling)
    write_json(folder / "comparison.json", comparison.to_json())
    return comparison
