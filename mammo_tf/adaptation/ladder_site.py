"""What the ladder stands on: the model, the new site, the old one, and refusals before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mammo_tf.adaptation.ladder_measure import Measure, measure_for
from mammo_tf.adaptation.ladder_scores import blind, every_score, looks_at_findings
from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.rungs.rung import Site
from mammo_tf.adaptation.site_pictures import patients_of, training_part
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import make_predictions, read_predictions
from mammo_tf.fields import Wording, from_json
from mammo_tf.recipes.inputs import open_data
from mammo_tf.recipes.proof import known_patients
from mammo_tf.recipes.recipe import Evaluation, Preparation, Recipe
from mammo_tf.recipes.run_folder import RUN, as_written, check_format
from mammo_tf.recipes.scores import plan_of
from mammo_tf.recipes.start import SAY_MEAN, check_start, load_start
from mammo_tf.records import Records
from mammo_tf.study import SPLITS
from mammo_tf.training import Classification, ModelFile

Say = Callable[[str], None]
OF_REFERENCE = "predictions_validation.csv"


@dataclass(frozen=True)
class Places:
    """Where everything lies.

    Attributes:
        model: run folder or file.
        site: records or manifest of the new site.
        root: data root of the manifest.
        old: records or manifest of the site that the model knows; None where it is not here.
        old_root: its data root.
    """

    model: Path
    site: Path
    root: Path | None = None
    old: Path | None = None
    old_root: Path | None = None


@dataclass(frozen=True)
class Grounds:
    """What was opened.

    Attributes:
        site: for the rungs.
        measure: what they are compared by.
        old: records of the old site; None where it is not measured.
        start_patients: whether the model had seen patients of validation and test: "nobody" or "unknown".
        name: of the site, for readers: the folder of its records or of its manifest.
    """

    site: Site
    measure: Measure
    old: Records | None
    start_patients: str
    name: str


def open_grounds(
    places: Places, folder: Path, settings: LadderSettings, level: str | None, workers: int, say: Say
) -> Grounds:
    """Opens everything, and refuses what cannot be compared.

    Raises:
        MammoError: `preprocessing_missing`; `patients_shared` where the old site's patients are among the new's;
            `start_unfit`, `start_saw_patients`, and what the rooms on the way raise.
    """
    model = load_start(places.model)
    if model.preprocessing is None:
        raise MammoError("preprocessing_missing", "the model does not say how pictures are prepared", SAY_MEAN)
    recipe = measuring_recipe(model, places.model, settings)
    check_start(model, places.model, recipe.task)
    records, _ = open_data(places.site, folder / "site", model, recipe, workers, say, places.root)
    recipe.task.check_rows(records.rows, ("validation", "test"))
    start_patients = known_patients(model.card, records)
    old = None
    if places.old is not None:
        old, _ = open_data(places.old, folder / "old_site", model, recipe, workers, say, places.old_root)
        check_apart(records, old)
    source = training_part(old) if old is not None and len(old.positions("train")) else None
    reference = _reference(places, model, old, recipe)
    matching = _old_validation(model, old, blind(recipe)) if looks_at_findings(recipe) else reference
    measure = measure_for(recipe.task, level, _told(records, recipe), recipe.evaluation)
    data = places.site if places.site.is_dir() else places.site.absolute().parent
    site = Site(
        places.model, model, records, recipe, settings, measure.level, folder, data, source, reference, matching
    )
    return Grounds(site, measure, old, start_patients, data.name)


def measuring_recipe(model: ModelFile, path: Path, settings: LadderSettings) -> Recipe:
    """How scores are made and put together at every rung: as where the model's thresholds were chosen.

    Args:
        model: what was opened.
        path: run folder, whose recipe says all of it, or a file, whose card tells aggregates and flips.
        settings: of the ladder.
    """
    card = model.card
    return Recipe(
        name="ladder",
        about="a model at a new site",
        task=card.task or Classification(),
        preparation=Preparation(preset="start", mean="start"),
        training=settings.training,
        evaluation=replace(
            _evaluation_of(model, path), flips=card.flips, replicates=settings.replicates, calibration="", mean=None,
            plan=plan_of(card, settings.samples, settings.draws),
        ),
    )  # fmt: skip


def _evaluation_of(model: ModelFile, path: Path) -> Evaluation:
    """Of the run that made the model; of a file, with the aggregates that its card tells."""
    if (path / RUN.file).is_file():
        with as_written(path / RUN.file):
            stored = check_format(path / RUN.file)["recipe"]["evaluation"]
        return from_json(Evaluation, stored, wording=Wording(str(path / RUN.file)))
    scores = model.card.training_domain.validation_scores
    told = {} if scores is None else dict(scores.aggregates)
    own = Evaluation()
    return replace(
        own, breast=told.get("breast", own.breast), patient=told.get("patient", own.patient), exam=told.get("exam")
    )


def check_apart(new: Records, old: Records) -> None:
    """Refuses an old site whose patients of training are to judge the new one, or the other way round.

    Patients of test may be at both: they are then compared with themselves.

    Raises:
        MammoError: `patients_shared`.
    """
    for here, there, words in ((new, old, "the old site's training"), (old, new, "the new site's training")):
        learnt = patients_of(there.part(there.positions("train")))
        for split in ("validation", "test"):
            both = learnt & patients_of(here.part(here.positions(split)))
            if both:
                raise MammoError(
                    "patients_shared", f"{len(both)} patients of {words} are in {split} of the other site",
                    "Split both sites together, or leave these patients out",
                )  # fmt: skip


def _reference(places: Places, model: ModelFile, old: Records | None, recipe: Recipe) -> pd.DataFrame | None:
    """Scores where the model is known to work, of patients it was not trained on."""
    beside = places.model / OF_REFERENCE
    if beside.is_file():
        return read_predictions(beside)
    return _old_validation(model, old, recipe)


def _old_validation(model: ModelFile, old: Records | None, recipe: Recipe) -> pd.DataFrame | None:
    if old is None or not len(old.positions("validation")):
        return None
    table = every_score(model, old, recipe, "validation")
    return table.assign(label=table["label"].fillna(-1).astype("int64"))


def _told(records: Records, recipe: Recipe) -> pd.DataFrame:
    """The table that predictions of the labelled pictures of test will be, without scores."""
    positions = records.positions("test")
    rows = records.rows.iloc[positions]
    labels = recipe.task.truth(rows)
    return make_predictions(rows[labels >= 0], labels[labels >= 0], [0.0] * int((labels >= 0).sum()))


def cases_in(rows: pd.DataFrame, level: str) -> pd.DataFrame:
    """Rows of a manifest, one for each case of a level."""
    whose = ["patient_id", "exam_id"]
    told = {"patient": whose[:1], "exam": whose, "breast": [*whose, "laterality"]}
    return rows.drop_duplicates(told.get(level, ["image_id"]))


def counts_of(site: Site) -> dict[str, dict[str, int]]:
    """Patients, images and positive cases of the level in every split, for readers; unlabelled images are images."""
    rows, task = site.records.rows, site.recipe.task
    parts = {split: rows[rows["split"] == split] for split in SPLITS}
    return {
        "patients": {split: int(part["patient_id"].nunique()) for split, part in parts.items()},
        "images": {split: len(part) for split, part in parts.items()},
        "positives": {split: len(cases_in(part[task.truth(part) == 1], site.level)) for split, part in parts.items()},
    }
