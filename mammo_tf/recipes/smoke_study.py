"""What a smoke run feeds on: a tiny synthetic study, and a start model that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import keras

from mammo_tf.imaging import Preprocessing
from mammo_tf.models import started_as
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.scores import patch_input
from mammo_tf.recipes.smoke_recipe import smoke_size
from mammo_tf.training import ModelCard, save_model

SITE = "ffdm_site_1"
SPACING_MM = 1.2


def smoke_material(recipe: Recipe, folder: Path, start: str | Path | None) -> tuple[Path, Path | None]:
    """A manifest of ten synthetic patients, and a random start model where the recipe needs one and has none.

    Args:
        recipe: a smoke recipe, see `smoke_recipe.smoke`.
        folder: where both go; what is there already is used again.
        start: the start model that was named, if any.
    """
    groups = (
        PatientGroup("train", 6, (SITE,), "train"),
        PatientGroup("validation", 2, (SITE,), "validation"),
        PatientGroup("test", 2, (SITE,), "test"),
    )
    make_study(folder / "study", groups, (SITE,), 1, SPACING_MM, conspicuity=CONSPICUOUS, workers=1)
    made = None if start is None else Path(start)
    if start is None and recipe.needs_start:
        made = folder / "start.keras"
    if made is not None and start is None and not made.is_file():
        keras.utils.set_random_seed(0)
        size, patch = smoke_size(recipe), patch_input(recipe)
        preset = "default" if patch is None else "native"
        preprocessing = Preprocessing.preset(preset, size, channels=recipe.preparation.channels)
        model = started_as(recipe.network).build((*recipe.scoring.size(size), preprocessing.channels))
        save_model(made, model, ModelCard(task=recipe.task, preprocessing=preprocessing, patch=patch))
    return folder / "study" / "manifest.csv", made
