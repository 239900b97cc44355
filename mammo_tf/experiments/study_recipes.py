"""What the experiments on the synthetic study share: their recipes' parts, prepared sites, a model scored elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mammo_tf.data import Augmentation
from mammo_tf.evaluation import compute_metrics
from mammo_tf.files import write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.recipes.recipe import Network, PatchTraining, Recipe, Training
from mammo_tf.recipes.scores import EVALUATED, score_as_it_came
from mammo_tf.records import open_records, prepare
from mammo_tf.training import ModelFile, Stage

HEAD = ("block_1", "block_2", "output")
SIZE = (288, 224)
SPACING_MM = 0.6
# a warp between pixels can halve the contrast of specks one pixel wide, so pictures are only mirrored
MIRRORED = Augmentation(rotation=0.0, shift=0.0, zoom=0.0, horizontal_flip=True, vertical_flip=True)
Say = Callable[[str], None]


def steady_stage(
    name: str,
    trainable: tuple[str, ...],
    rate: float,
    epochs: int,
    weight_decay: float | None = None,
    dropout: float | None = None,
) -> Stage:
    """A stage of fixed length and rate whose best epoch on validation is kept."""
    return Stage(
        name, trainable, rate, epochs, weight_decay, dropout, stop_patience=0, rate_patience=0, monitor="val_auc"
    )


def from_patches(
    name: str,
    about: str,
    epochs: tuple[int, int, int],
    width: float = 1 / 8,
    patch_pixels: int = 64,
    patch_rate: float = 1e-3,
) -> Recipe:
    """Patch stage, then the head, then everything, at the rates of the synthetic study.

    Args:
        name, about: of the recipe.
        epochs: of patches, of the head alone, of everything.
        width: fraction of all numbers of filters.
        patch_pixels: side of a patch.
        patch_rate: learning rate of the patch stage.
    """
    patch, head, whole = epochs
    return Recipe(
        name=name,
        about=about,
        network=Network(width=width),
        training=Training(batch_size=16, augmentation=MIRRORED),
        patch=PatchTraining(
            stages=(steady_stage("patch", ("all",), patch_rate, patch),),
            rows=patch_pixels, columns=patch_pixels, batch_size=16, augmentation=MIRRORED,
        ),
        stages=(steady_stage("head", HEAD, 1e-3, head), steady_stage("whole", ("all",), 5e-4, whole)),
        weight_decay=1e-4,
    )  # fmt: skip


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The same recipe with another seed."""
    return replace(recipe, training=replace(recipe.training, seed=seed))


def deeper(say: Say) -> Say:
    """Says the same, set in by five blanks."""
    return lambda line: say(f"     {line}")


def prepare_site(rows: pd.DataFrame, root: Path, folder: Path, workers: int, size: tuple[int, int] = SIZE) -> Path:
    """Records of some rows of a study, breast box and aspect kept; returns their folder.

    Args:
        rows: of the manifest.
        root: data root of the study.
        folder: of the records.
        workers: processes.
        size: rows and columns of a picture.
    """
    prepare(rows.reset_index(drop=True), root, folder, Preprocessing.preset("default", size), workers)
    return folder


def score_site(origin: ModelFile, data: Path, recipe: Recipe, folder: Path, splits: Sequence[str] = EVALUATED) -> None:
    """A model on a site's records, with its own preprocessing: predictions of the splits, then `metrics.json`.

    Args:
        origin: the model; it must say how pictures are prepared.
        data: folder of records.
        recipe: says what is positive and how scores are put together.
        folder: where the files go; finished once `metrics.json` is there.
        splits: which are scored.

    Raises:
        MammoError: `preprocessing_missing`.
    """
    table = score_as_it_came(origin, open_records(data), recipe, folder, splits)
    evaluation = recipe.evaluation
    metrics = compute_metrics(table, aggregates=evaluation.aggregates, resampling=evaluation.resampling)
    write_json(folder / "metrics.json", metrics.to_json())
