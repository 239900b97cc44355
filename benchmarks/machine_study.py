"""A network of one phantom machine and women whom all machines imaged: what the benchmarks of harmonising share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mammo_tf.experiments.demo_recipes import SHORT, source_recipe
from mammo_tf.experiments.study_recipes import prepare_site, seeded
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, load_machine, make_study
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import run
from mammo_tf.records import Records, open_records
from mammo_tf.training import ModelFile, load_model

SHIPPED = ("ffdm_site_1", "ffdm_site_2", "film", "film_8bit", "dbt")
UNLABELLED, TEST = 60, 80  # women whom every machine images: of split train, and measured
SPACING_MM = 0.6
FILM_PATCH_RATE, FILM_PATCH_EPOCHS = 3e-4, 12  # chosen on validation of the source, for the thesis's tables
Machines = Sequence[str | Path]  # the source first; names of shipped ones, or JSON files


def names(machines: Machines) -> list[str]:
    """What the machines call themselves."""
    return [load_machine(one).name for one in machines]


def study(folder: Path, machines: Machines, seed: int, workers: int, unlabelled: int) -> pd.DataFrame:
    """The manifest: women of the source alone are in train and validation, those of every machine in train and test."""
    everywhere = names(machines)
    source = (everywhere[0],)
    groups = (
        PatientGroup("source", SHORT.source, source, "train"),
        PatientGroup("source_validation", SHORT.source_validation, source, "validation"),
        PatientGroup("unlabelled", unlabelled, everywhere, "train"),
        PatientGroup("test", TEST, everywhere, "test"),
    )
    return make_study(folder, groups, machines, seed, SPACING_MM, conspicuity=CONSPICUOUS, workers=workers)


def prepared(place: Path, machines: Machines, seed: int, workers: int, unlabelled: int = UNLABELLED) -> dict[str, Path]:
    """Folders of records: `training`, which the network is trained on, and one of each machine; made if not there."""
    folders = {name: place / "prepared" / name for name in ("training", *names(machines))}
    if all((folder / "index.json").is_file() for folder in folders.values()):
        return folders
    manifest = study(place / "study", machines, seed, workers, unlabelled)
    everywhere = manifest.groupby("patient_id")["site"].transform("nunique") > 1
    source = manifest["site"] == names(machines)[0]
    parts = {
        "training": manifest[source & (~everywhere | (manifest["split"] == "test"))],
        **{name: manifest[(manifest["site"] == name) & everywhere] for name in names(machines)},
    }
    for name, folder in folders.items():
        prepare_site(parts[name], place / "study", folder, workers)
    return folders


def on_film(recipe: Recipe) -> Recipe:
    """The same, its stage of patches slower and longer: at the demonstration's rate they learn little on film."""
    patches, whole = recipe.phases
    slow = tuple(replace(stage, rate=FILM_PATCH_RATE, epochs=FILM_PATCH_EPOCHS) for stage in patches.stages)
    return replace(recipe, phases=(replace(patches, stages=slow), whole))


def trained(place: Path, folders: dict[str, Path], seed: int, film: bool = False) -> tuple[ModelFile, Records]:
    """The demonstration's network of the source, trained if it is not, and the records it was trained on.

    On film patches are learned at the rate and for the epochs that the tables of the thesis take there.
    """
    recipe = seeded(source_recipe(SHORT), seed)
    run(on_film(recipe) if film else recipe, place / "model", folders["training"], say=print)
    return load_model(place / "model" / "model.keras"), open_records(folders["training"])
