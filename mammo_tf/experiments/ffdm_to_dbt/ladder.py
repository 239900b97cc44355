"""The ladder's rows beside the seven of Table 2: its rungs from the same base model, on the same patients and patches.

Rates and epochs are those of the table's own rows: the last layer's for whatever trains a part, SpotTune's for whatever
trains everything. Pictures are harmonised as a whole before patches are cut of them (`records.behind`), so the models
themselves stay without the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.ladder_scores import matching_scores, site_scores
from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.ladder_site import Places, open_grounds
from mammo_tf.adaptation.ladder_thresholds import intended_point, point_numbers, thresholds_of
from mammo_tf.adaptation.rungs import RUNGS, Site
from mammo_tf.adaptation.rungs.harmonised import FILE, unfit_to_harmonise
from mammo_tf.adaptation.rungs.rung import CARRIED, MATCHED
from mammo_tf.errors import MammoError
from mammo_tf.experiments.ffdm_to_dbt.recipes import PaperSize, last_layer_recipe, spottune_recipe
from mammo_tf.experiments.ffdm_to_dbt.rows import difference_numbers, row_numbers
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.records.behind import behind

FOLDER = "ladder"
UNTOUCHED = "mip"  # the row of the table that all of these are compared with
LEVEL = "image"  # of thresholds and of the choice: the mean over an image's patches
Say = Callable[[str], None]


@dataclass(frozen=True)
class LadderRow:
    """One row.

    Attributes:
        rung: its name in `adaptation.rungs`.
        training: what is done.
        harmonised: whether the pictures of tomosynthesis are carried to the look of mammograms first.
        scored: whether its scores are its own; else they are those of the base model, at another threshold.
    """

    rung: str
    training: str
    harmonised: bool = False
    scored: bool = True

    @property
    def key(self) -> str:
        """In files, and the folder of its predictions."""
        return f"{self.rung}_harmonised" if self.harmonised else self.rung


ROWS = (
    LadderRow("untouched", "test only"),
    LadderRow("scores_matched", "threshold by matched scores", scored=False),
    LadderRow("new_threshold", "threshold chosen anew", scored=False),
    LadderRow("recalibrated_intercept", "threshold recalibrated, intercept", scored=False),
    LadderRow("recalibrated", "threshold recalibrated, intercept and slope", scored=False),
    LadderRow("batch_statistics", "batch statistics taken anew"),
    LadderRow("normalisation", "fine-tune (normalisation and output)"),
    LadderRow("everything", "fine-tune (everything)"),
    LadderRow("untouched", "test only", harmonised=True),
    LadderRow("batch_statistics", "batch statistics taken anew", harmonised=True),
    LadderRow("normalisation", "fine-tune (normalisation and output)", harmonised=True),
    LadderRow("last_layer", "fine-tune (last layer)", harmonised=True),
    LadderRow("everything", "fine-tune (everything)", harmonised=True),
    LadderRow("spottune", "SpotTune", harmonised=True),
)


def ladder_settings(size: PaperSize, seed: int) -> LadderSettings:
    """Training and measuring as the table's rows have it."""
    (part,), (whole,) = last_layer_recipe(size).stages, spottune_recipe(size).stages
    return LadderSettings(
        training=replace(last_layer_recipe(size).training, seed=seed),
        first=replace(part, name="first"),
        second=replace(whole, name="second"),
        samples=size.samples[1],
        draws=size.draws,
        replicates=size.replicates,
    )


def climb(base: Path, mammograms: Path, volumes: Path, folder: Path, size: PaperSize, seed: int, say: Say) -> None:
    """Climbs the rows; each leaves a folder of predictions and `row.json`, and is not climbed again.

    Args:
        base: run folder of the base model.
        mammograms, volumes: records of both modalities.
        folder: of the ladder.
        size: of the experiment.
        seed: of the trainings.
        say: is told what happens.
    """
    if all(_row_file(folder, row).is_file() for row in ROWS):
        return
    places = Places(base, volumes, old=mammograms)
    site = open_grounds(places, folder, ladder_settings(size, seed), LEVEL, 1, say).site
    harmonised, why_not = _harmonised(site, say)
    for row in ROWS:
        if _row_file(folder, row).is_file():
            continue
        say(f"{row.training}{', harmonised' if row.harmonised else ''}")
        if row.harmonised and harmonised is None:
            write_json(_row_file(folder, row), {"why_not": why_not})
        else:
            chosen = harmonised if row.harmonised and harmonised is not None else site
            write_json(_row_file(folder, row), _climbed(row, chosen, lambda line: say(f"     {line}")))


def _row_file(folder: Path, row: LadderRow) -> Path:
    return folder / "rungs" / row.key / "row.json"


def _harmonised(site: Site, say: Say) -> tuple[Site | None, str]:
    """The site with its pictures carried to the look that the model knows; why not, where that cannot be."""
    path = site.rung_folder("untouched_harmonised") / FILE
    why_not = unfit_to_harmonise(site)
    if not path.is_file() and not why_not:
        assert site.source is not None  # the mammograms
        try:
            found = fit(site.source, site.records, patients=site.settings.patients)
        except MammoError as error:
            why_not = error.sentence
            for records in (site.source, site.records):
                why_not = why_not.replace(str(records.folder), records.folder.name)
        else:
            for note in notes(found)[:-1]:  # the last speaks of thresholds, which rows choose
                say(f"{note.code}: {note.sentence}")
            found.save(path)
    if why_not:
        return None, why_not
    return replace(site, records=behind(site.records, Harmonising.load(path).steps)), ""


def _climbed(row: LadderRow, site: Site, say: Say) -> dict[str, Any]:
    """What a rung needs, and sensitivity and specificity of test at the threshold that it comes to."""
    rung = next(one for one in RUNGS if one.name == row.rung)
    why_not = rung.unfit(site)
    if why_not:
        return {"why_not": why_not}
    keras.utils.clear_session()
    found = rung.climb(site, site.rung_folder(row.key), say)
    scored_in = site.rung_folder(row.key if row.scored else "untouched")
    predictions = site_scores(found.model, site, scored_in)
    way = MATCHED if row.harmonised and found.way == CARRIED else found.way
    unlabelled = matching_scores(found.model, site, scored_in, predictions) if way == MATCHED else None
    threshold = thresholds_of(way, site, predictions, unlabelled).get(LEVEL)
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    evaluation = site.recipe.evaluation
    return {
        "needs": rung.needs,
        "threshold": way,
        "at_own": point_numbers(test, threshold, LEVEL, evaluation, intended_point(site)),
        "at_carried": point_numbers(test, site.threshold, LEVEL, evaluation, intended_point(site)),
        "patients": int(site.records.rows.iloc[site.records.positions("train")]["patient_id"].nunique()),
    }


def ladder_numbers(place: Path, replicates: int) -> dict[str, Any]:
    """What the table tells of one seed's ladder: key of a row -> numbers.

    Args:
        place: folder of the seed, with the row that is compared with and the ladder.
        replicates: of the bootstrap.
    """
    found: dict[str, Any] = {}
    for row in ROWS:
        one = read_json(_row_file(place / FOLDER, row))
        if row.scored and "why_not" not in one:
            scores = _row_file(place / FOLDER, row).parent
            one["auc"] = row_numbers(scores, replicates)
            one["difference"] = difference_numbers(place / UNTOUCHED, scores, replicates)
        found[row.key] = one
    return found
