"""Table 2 and Figures 1 to 3 as one experiment: what `mammo-tf tables ffdm-to-dbt` does.

By default on the synthetic study: mammograms of site 1 and volumes of the tomosynthesis machine, of the same breasts,
with conspicuous findings. Or on any manifest with both modalities. Beside the paper's rows stand those of the ladder.
Every row is a folder, and a row that is finished is not computed again. docs/tables.md says how to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import pandas as pd

from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.experiments.ffdm_to_dbt.ladder import FOLDER as LADDER
from mammo_tf.experiments.ffdm_to_dbt.ladder import climb, ladder_numbers
from mammo_tf.experiments.ffdm_to_dbt.policies import write_policies
from mammo_tf.experiments.ffdm_to_dbt.recipes import (
    DBT,
    FFDM,
    PHANTOM,
    PaperSize,
    base_recipe,
    last_layer_recipe,
    scored_recipe,
    spottune_recipe,
)
from mammo_tf.experiments.ffdm_to_dbt.rows import seed_numbers
from mammo_tf.experiments.ffdm_to_dbt.study import prepare_modality, synthetic_study, with_both
from mammo_tf.experiments.ffdm_to_dbt.tables import LADDER_NUMBERS, NUMBERS, write_tables
from mammo_tf.experiments.steps import Steps, records_whole, run_ended
from mammo_tf.experiments.study_recipes import Say, deeper, score_site, seeded
from mammo_tf.fields import to_json
from mammo_tf.files import digest, write_json
from mammo_tf.imaging.domain_histogram import lookup_step
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import run
from mammo_tf.recipes.start import load_start
from mammo_tf.records import open_records
from mammo_tf.records.domain_statistics import records_histogram, with_matching
from mammo_tf.study import read_manifest
from mammo_tf.training import load_model, save_model

TABLE = Kind(
    "request.json", "tables", "tables of another size or of other data", "other_tables",
    "Name another folder with -o, or remove this one",
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A manifest with both modalities, split, and its data root."""

    manifest: Path
    root: Path


def ffdm_to_dbt(
    folder: str | Path,
    size: PaperSize = PHANTOM,
    seeds: Sequence[int] = (1,),
    given: Given | None = None,
    workers: int = 2,
    say: Say = print,
) -> Path:
    """Runs the experiment for every seed; writes `tables.json`, `figures/`, and `tables.md`, whose path it returns.

    Run again it continues where it stopped; further seeds may be named then.

    Args:
        folder: new, or of the same experiment.
        size: patients, epochs, patches.
        seeds: each a study and trainings of its own; with `given`, trainings alone.
        given: a manifest instead of the synthetic study.
        workers: processes for study and preparation.
        say: is told in a line what happens.

    Raises:
        MammoError: `seeds_wrong`, `modality_missing`, `class_missing`, `other_tables`, `folder_exists`, `folder_busy`,
            and what the rooms raise.
    """
    folder = Path(folder)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise MammoError("seeds_wrong", f"seeds {list(seeds)} are not different whole numbers from 0 on", "Fix --seed")
    if given is not None:
        with_both(read_manifest(given.manifest))  # refused before any work
    asked = {"size": to_json(size), "given": {} if given is None else {"manifest": digest(given.manifest)}}
    with claim(folder, TABLE, asked):
        for seed in seeds:
            say(f"seed {seed}")
            _one_seed(folder / f"seed_{seed}", size, seed, given, workers, deeper(say))
        return write_tables(folder, seeds, size, given is None)


def _one_seed(place: Path, size: PaperSize, seed: int, given: Given | None, workers: int, say: Say) -> None:
    steps = Steps(place, say)
    records = {modality: place / "prepared" / modality for modality in (FFDM, DBT)}
    if not (place / NUMBERS).is_file():
        _paper_rows(steps, place, records, size, seed, given, workers)
    if not (place / LADDER_NUMBERS).is_file():
        climbing = partial(climb, place / "base", records[FFDM], records[DBT], place / LADDER, size, seed, deeper(say))
        steps.resumed("the ladder's rows", climbing)
        write_json(place / LADDER_NUMBERS, ladder_numbers(place, size.replicates))


def _paper_rows(
    steps: Steps,
    place: Path,
    records: dict[str, Path],
    size: PaperSize,
    seed: int,
    given: Given | None,
    workers: int,
) -> None:
    """The seven rows of Table 2."""

    def study() -> tuple[pd.DataFrame, Path]:
        if given is not None:
            return with_both(read_manifest(given.manifest)), given.root
        return synthetic_study(place / "study", size, seed, workers), place / "study"

    def prepared() -> None:
        manifest, root = study()
        for modality, target in records.items():
            prepare_modality(manifest, root, target, modality, size, workers)

    steps.once("both modalities of the study", records_whole(records[DBT]), prepared)
    say = steps.say
    train = partial(_trained, size=size, seed=seed, say=say)
    base, start, matched = place / "base", place / "base" / "model.keras", place / "matched.keras"
    steps.once("base", run_ended(base), partial(train, base_recipe(size), base, records[FFDM]))
    steps.once("histogram matching", matched.is_file(), partial(_match, start, matched, records, size, seed, say))
    for name, model in (("mip", start), ("matched", matched)):
        scored = partial(_scored, model, records[DBT], scored_recipe(size), place / name)
        steps.once(f"{name}: test only", (place / name / "metrics.json").is_file(), scored)
        for recipe in (last_layer_recipe(size), spottune_recipe(size)):
            out = place / f"{name}_{recipe.name}"
            steps.once(f"{name}: {recipe.about}", run_ended(out), partial(train, recipe, out, records[DBT], model))
        out = place / f"{name}_spottune"
        steps.once(
            f"{name}: policies", (out / "policies.csv").is_file(),
            partial(write_policies, out / "model.keras", records[DBT], scored_recipe(size), out / "policies.csv"),
        )  # fmt: skip
    write_json(place / NUMBERS, seed_numbers(place, size.replicates))


def _trained(
    recipe: Recipe, out: Path, data: Path, start: Path | None = None, *, size: PaperSize, seed: int, say: Say
) -> None:
    keras.utils.clear_session()
    run(seeded(recipe, seed), out, data, start, say=deeper(say))


def _scored(model: Path, data: Path, recipe: Recipe, out: Path) -> None:
    score_site(load_start(model), data, recipe, out)


def _match(start: Path, out: Path, records: dict[str, Path], size: PaperSize, seed: int, say: Say) -> None:
    """The base model with the look-up in front that carries tomosynthesis to mammograms."""
    model_file = load_model(start)
    assert model_file.preprocessing is not None  # trained here
    found = {}
    for modality, count in zip((FFDM, DBT), size.matched, strict=True):
        one = records_histogram(open_records(records[modality]), count, seed, name=modality)
        one.save(out.parent / f"histogram_{modality}.json")
        say(f"average histogram of {modality}: {one.images} training images")
        found[modality] = one
    steps = with_matching(model_file.preprocessing, lookup_step(found[DBT], found[FFDM]))
    save_model(out, model_file.model, replace(model_file.card, preprocessing=steps))
