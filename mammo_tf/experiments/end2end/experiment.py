"""The thesis's Tables 2 to 9 and Figures 3 and 4 as one experiment: what `mammo-tf tables` does.

By default on the synthetic study: source site 1 is film (in the thesis CBIS-DDSM), source site 2 a digital machine
(INbreast), the target another make with 191 matched pairs (the private cohort); its findings are conspicuous. With
prepared collections and two published models the same rows are made of them. Every row is a folder, and a row that is
finished is not computed again. docs/tables.md says how to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling
from mammo_tf.experiments.end2end.recipes import (
    PHANTOM,
    ThesisSize,
    as_run,
    configuration,
    source_1_recipe,
    source_2_recipe,
)
from mammo_tf.experiments.end2end.rows import seed_numbers
from mammo_tf.experiments.end2end.tables import write_tables
from mammo_tf.experiments.steps import Steps, records_whole, run_ended
from mammo_tf.experiments.study_recipes import Say, deeper, prepare_site, score_site, seeded
from mammo_tf.fields import to_json
from mammo_tf.files import atomic_path, read_json, write_json
from mammo_tf.patients.inputs import features_and_predictions
from mammo_tf.patients.model import PatientRequest, fit_patient_model, request_settings
from mammo_tf.patients.store import DESCRIPTION
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.radiomics.radiomic_features import Extraction, extract_features, stored_extraction
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import digest_of_input, run
from mammo_tf.recipes.scores import EVALUATED
from mammo_tf.recipes.start import load_start
from mammo_tf.records import Records, open_records
from mammo_tf.study import SPLITS, assign_splits, positive

SOURCE_1, SOURCE_2, TARGET = "film", "ffdm_site_1", "ffdm_site_2"
FRACTIONS = (70, 10, 20)  # of 191 pairs: 133, 19, 39
ONLY_IN_MILLIMETRES = ("fdim", "pd")  # what set 32 leaves out of set 34
NUMBERS = "numbers.json"
TABLES = Kind(
    "request.json", "tables", "tables of another size or of other data", "other_tables",
    "Name another folder with -o, or remove this one",
)  # fmt: skip


@dataclass(frozen=True)
class Sites:
    """What the rows are made of.

    Attributes:
        target: records of the target, split.
        start_1, start_2: source model 1, and source model 2 = the baseline.
        source_1, source_2: records of the source sites; None leaves their rows of Tables 2 and 3 out.
        features: set 34 of the target's images, as `mammo-tf features` writes it; None leaves the radiomics out.
    """

    target: Path
    start_1: Path
    start_2: Path
    source_1: Path | None = None
    source_2: Path | None = None
    features: Path | None = None


def thesis_tables(
    folder: str | Path,
    size: ThesisSize = PHANTOM,
    seeds: Sequence[int] = (1,),
    given: Sites | None = None,
    workers: int = 2,
    say: Say = print,
) -> Path:
    """Runs the experiment for every seed; writes `tables.json`, `figures/`, and `tables.md`, whose path it returns.

    Run again it continues where it stopped; further seeds may be named then.

    Args:
        folder: new, or of the same experiment.
        size: patients, epochs, families of rates.
        seeds: each a study and trainings of its own; with `given`, trainings alone.
        given: prepared collections and models instead of the synthetic study.
        workers: processes for study, preparation and features.
        say: is told in a line what happens.

    Raises:
        MammoError: `seeds_wrong`, `features_differ`, `other_tables`, `folder_exists`, `folder_busy`, and what the
            rooms raise.
    """
    folder = Path(folder)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise MammoError("seeds_wrong", f"seeds {list(seeds)} are not different whole numbers from 0 on", "Fix --seed")
    if given is not None and given.features is not None:
        _check_features(given.features)
    with claim(folder, TABLES, _asked(size, given)):
        for seed in seeds:
            place = folder / f"seed_{seed}"
            say(f"seed {seed}")
            _one_seed(place, size, seed, given, workers, deeper(say))
        return write_tables(folder, seeds, size, given is None, say)


def _check_features(path: Path) -> None:
    """Both sets are made of set 34, so that is what must be given."""
    extraction = stored_extraction(path)
    if not path.is_file() or extraction is None or extraction.names != "34":
        remedy = "Make it with mammo-tf features, with the settings next to it"
        raise MammoError("features_differ", f"{path} is not a table of the 34 features", remedy)


def _asked(size: ThesisSize, given: Sites | None) -> dict[str, Any]:
    named = {} if given is None else {name: path for name, path in vars(given).items() if path is not None}
    return {"size": to_json(size), "given": {name: digest_of_input(path) for name, path in named.items()}}


def _one_seed(place: Path, size: ThesisSize, seed: int, given: Sites | None, workers: int, say: Say) -> None:
    if (place / NUMBERS).is_file():
        return
    steps = Steps(place, say)
    sites = given or _phantom_sites(place, size, seed, workers, steps)
    _scores(place, sites, size, steps)
    if sites.features is not None:
        for names in ("34", "32"):
            out = place / f"radiomics_{names}"
            work = partial(_radiomics, place, out, names, sites, size)
            steps.once(f"baseline + radiomics, {names} features", (out / "model" / DESCRIPTION).is_file(), work)
    for recipe in _adaptations(sites, size):
        out = place / recipe.name
        train = partial(_trained, recipe, out, sites.target, sites.start_2, size, seed, say)
        steps.once(recipe.about, run_ended(out), train)
    numbers = seed_numbers(place, size.families, Resampling(size.replicates, also_cases=True))
    write_json(place / NUMBERS, numbers | {"counts": _all_counts(sites)})


def _phantom_sites(place: Path, size: ThesisSize, seed: int, workers: int, steps: Steps) -> Sites:
    """The synthetic study, its records and features, and the two source models."""
    records = {site: place / "prepared" / site for site in (SOURCE_1, SOURCE_2, TARGET)}
    features = place / "features_34.csv"
    shape = (size.rows, size.columns)

    def sources() -> None:
        study = source_study(place / "study_sources", size, seed, workers)
        for site in (SOURCE_1, SOURCE_2):
            prepare_site(study[study["site"] == site], place / "study_sources", records[site], workers, shape)

    def target() -> None:
        study = target_study(place / "study_target", size, seed, workers)
        prepare_site(study, place / "study_target", records[TARGET], workers, shape)

    def radiomics() -> None:
        study = target_study(place / "study_target", size, seed, workers)
        extract_features(study, place / "study_target", features, Extraction("34"), workers)

    steps.once("synthetic source sites", records_whole(records[SOURCE_2]), sources)
    steps.once("synthetic target, matched pairs", records_whole(records[TARGET]), target)
    steps.once("radiomic features of the target", features.with_suffix(".json").is_file(), radiomics)
    one, two = place / "source_1", place / "source_2"
    steps.once(
        "source model 1", run_ended(one),
        lambda: _trained(source_1_recipe(size), one, records[SOURCE_1], None, size, seed, steps.say),
    )  # fmt: skip
    steps.once(
        "source model 2, the baseline", run_ended(two),
        lambda: _trained(source_2_recipe(size), two, records[SOURCE_2], one, size, seed, steps.say),
    )  # fmt: skip
    return Sites(records[TARGET], one, two, records[SOURCE_1], records[SOURCE_2], features)


def source_study(folder: Path, size: ThesisSize, seed: int, workers: int) -> pd.DataFrame:
    """Patients of the two source sites, none of whom visits the other site or the target; its manifest."""
    groups = tuple(
        PatientGroup(f"{site}_{split}", count, (site,), split)
        for site, counts in ((SOURCE_1, size.source_1), (SOURCE_2, size.source_2))
        for split, count in zip(SPLITS, counts, strict=True)
    )
    return make_study(
        folder, groups, (SOURCE_1, SOURCE_2), 2 * seed, size.spacing_mm, conspicuity=CONSPICUOUS, workers=workers
    )


def target_study(folder: Path, size: ThesisSize, seed: int, workers: int) -> pd.DataFrame:
    """Matched pairs of the target, split 70:10:20 by pairs and stratified by age; its manifest.

    Patients of every synthetic study are numbered from 0 on. Those of the target get names of their own: they are other
    women than those of the sources, and a model must not be said to know them.
    """
    study = make_study(
        folder, 2 * size.pairs, (TARGET,), 2 * seed + 1, size.spacing_mm, conspicuity=CONSPICUOUS, pairs=True,
        workers=workers,
    )  # fmt: skip
    named = study.assign(patient_id="target_" + study["patient_id"])
    return assign_splits(named, FRACTIONS, ("age",), pairs=True, seed=seed)


def _trained(recipe: Recipe, out: Path, data: Path, start: Path | None, size: ThesisSize, seed: int, say: Say) -> None:
    keras.utils.clear_session()
    asked = replace(seeded(recipe, seed), evaluation=replace(recipe.evaluation, replicates=size.replicates))
    run(asked, out, data, start, say=deeper(say))


def _adaptations(sites: Sites, size: ThesisSize) -> list[Recipe]:
    """The recipes at the target, of the families that are run."""
    origin = load_start(sites.start_2)
    return [
        recipe
        for family in size.families
        for recipe in (configuration(1, family, size), configuration(2, family, size), as_run(origin, family, size))
    ]


def _scores(place: Path, sites: Sites, size: ThesisSize, steps: Steps) -> None:
    """Both source models at all sites, untouched; the baseline also on the target's training part, for radiomics."""
    wanted: list[tuple[str, Path, Path | None, tuple[str, ...]]] = [
        ("model_1_at_source_1", sites.start_1, sites.source_1, EVALUATED),
        ("model_2_at_source_1", sites.start_2, sites.source_1, EVALUATED),
        ("model_1_at_source_2", sites.start_1, sites.source_2, EVALUATED),
        ("model_2_at_source_2", sites.start_2, sites.source_2, EVALUATED),
        ("model_1_at_target", sites.start_1, sites.target, EVALUATED),
        ("baseline_at_target", sites.start_2, sites.target, SPLITS),
    ]
    for name, model, data, splits in wanted:
        if data is not None:
            out = place / name
            steps.once(
                name.replace("_", " "),
                (out / "metrics.json").is_file(),
                partial(_scored, model, data, _scoring(name, size), out, splits),
            )


def _scored(model: Path, data: Path, recipe: Recipe, out: Path, splits: tuple[str, ...]) -> None:
    score_site(load_start(model), data, recipe, out, splits)


def _scoring(name: str, size: ThesisSize) -> Recipe:
    recipe = Recipe(name=name, about="")
    return replace(recipe, evaluation=replace(recipe.evaluation, replicates=size.replicates))


def _radiomics(place: Path, out: Path, names: str, sites: Sites, size: ThesisSize) -> None:
    """The patient models on one set of features; set 32 is set 34 without what needs the size of a pixel."""
    assert sites.features is not None  # else there is no such step
    features = sites.features
    if names == "32":
        features = place / "features_32.csv"
        table = pd.read_csv(sites.features, dtype="str", keep_default_na=False)
        with atomic_path(features) as beside:
            table.drop(columns=list(ONLY_IN_MILLIMETRES)).to_csv(beside, index=False, lineterminator="\n")
        stored = read_json(sites.features.with_suffix(".json"))
        stored["extraction"]["names"] = names
        write_json(features.with_suffix(".json"), stored)
    predictions = [place / "baseline_at_target" / f"predictions_{split}.csv" for split in SPLITS]
    request = PatientRequest(
        settings=request_settings(size.classifier), resampling=Resampling(size.replicates), calibration=None
    )
    fit_patient_model(features_and_predictions(features, predictions), out, request)


def _all_counts(sites: Sites) -> dict[str, Any]:
    places = {"source_1": sites.source_1, "source_2": sites.source_2, "target": sites.target}
    return {name: counts(open_records(path)) for name, path in places.items() if path is not None}


def counts(records: Records) -> dict[str, dict[str, int]]:
    """Patients, pairs, images and positive images of every split."""
    found = {}
    for split in SPLITS:
        rows = records.rows.iloc[records.positions(split)]
        truth = positive(rows["label"])
        found[split] = {
            "patients": int(rows["patient_id"].nunique()),
            "pairs": int(rows.loc[rows["pair_id"] != "", "pair_id"].nunique()),
            "images": len(rows),
            "positive images": int(truth.sum()),
        }
    return found
