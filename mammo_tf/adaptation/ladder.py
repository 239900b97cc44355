"""The ladder: every way to take a model to a new site, the cheapest first, and which of them is enough."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from mammo_tf.adaptation.label_budget import budget, check_budget
from mammo_tf.adaptation.ladder_choice import Choice, choose, choose_point
from mammo_tf.adaptation.ladder_export import LADDER, MODEL, save_chosen
from mammo_tf.adaptation.ladder_numbers import Step, ladder_json
from mammo_tf.adaptation.ladder_scores import choosing_scores, fold, matching_scores, old_scores, site_scores
from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.ladder_site import Grounds, Places, cases_in, open_grounds
from mammo_tf.adaptation.ladder_thresholds import Intended, intended_point, point_numbers, thresholds_of
from mammo_tf.adaptation.rungs import RUNGS, Rung, Site
from mammo_tf.adaptation.rungs.rung import MATCHED
from mammo_tf.adaptation.rungs.thresholds import ThresholdSet
from mammo_tf.adaptation.rungs.trained import Fitted
from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import read_json, write_json
from mammo_tf.recipes.proof import known_patients
from mammo_tf.recipes.runner import digest_of_input

Say = Callable[[str], None]
SECONDS = "rung.json"
NOT_THE_RUNG = (
    "disk_full", "read_only", "folder_busy", "checkpoint_damaged", "checkpoint_differs", "json_broken",
    "predictions_damaged", "device_lost",
)  # fmt: skip
ASKED = Kind(
    "request.json", "ladder", "the ladder of another model or site", "other_ladder",
    "Name another folder with -o, or remove this one",
)  # fmt: skip


def adapt(
    places: Places,
    folder: str | Path,
    settings: LadderSettings | None = None,
    level: str | None = None,
    label_budget: Sequence[int] = (),
    rungs: Sequence[str] = (),
    workers: int = 1,
    say: Say = print,
) -> dict[str, Any]:
    """Climbs every rung, chooses one on validation, measures all on test, and leaves the chosen model.

    Leaves `ladder.json`, `rungs/<name>/`, `model.keras` (the chosen rung, its thresholds in its card). Run again in the
    same folder it continues where it stopped.

    Args:
        places: where model and sites lie.
        folder: of the ladder.
        settings: of training and choosing.
        level: of the cases that are compared; None takes breasts, or the coarsest there is.
        label_budget: numbers of labelled training patients, rising, for which the best rung that trains is run anew.
        rungs: names of those that are climbed next to `untouched`; none named takes all.
        workers: processes, where a manifest is prepared.
        say: is told in a line what happens.

    Returns:
        The content of `ladder.json`.

    Raises:
        MammoError: `rung_unknown`, `budget_wrong`, `other_ladder`; those of `open_grounds`.
    """
    settings, folder = settings or LadderSettings(), Path(folder)
    chosen_rungs = named_rungs(rungs)
    if list(label_budget) != sorted(set(label_budget)) or min(label_budget, default=1) < 1:
        raise MammoError("budget_wrong", f"a label budget of {list(label_budget)} does not rise", "Such as 10,30,100")
    asked = {
        "model": digest_of_input(places.model), "site": digest_of_input(places.site),
        "old": "" if places.old is None else digest_of_input(places.old), "settings": to_json(settings),
        "level": level or "",
    }  # fmt: skip
    with claim(folder, ASKED, asked):
        grounds = open_grounds(places, folder, settings, level, workers, say)
        check_budget(grounds.site, label_budget)
        folds = folds_for(grounds, say)
        steps = _climbed(grounds, chosen_rungs, folds, say)
        choice = _choice(grounds, steps)
        intended = intended_point(grounds.site)
        taken = _with_point(grounds.site, steps, choice, intended, settings.tolerance)
        bought = _budget(grounds, steps, choice, label_budget, say)
        old = _old_tables(grounds, steps, say)
        content = ladder_json(grounds, steps, choice, taken, intended, folds, bought, old)
        save_chosen(taken, folder / MODEL)
        write_json(folder / LADDER, content)
        return content


def named_rungs(names: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs of these names in the ladder's order, `untouched` always; all where none is named."""
    known = [rung.name for rung in RUNGS]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise MammoError("rung_unknown", f"there is no rung {wrong[0]!r}", f"Known are {', '.join(known)}")
    return tuple(rung for rung in RUNGS if not names or rung.name in (*names, "untouched"))


def folds_for(grounds: Grounds, say: Say) -> int | None:
    """Of the cross-validation, where validation has too few positive cases to choose by; else None.

    A model that has seen training patients of the site, elsewhere, would be judged on them, and patients of a class may
    be too few for the folds: then the choice is made on validation whatever its size, and a line says so.
    """
    site = grounds.site
    rows = site.records.rows.iloc[site.records.positions("validation")]
    cases = cases_in(rows[site.recipe.task.truth(rows) == 1], site.level)
    if len(cases) >= site.settings.least_positives:
        return None
    judging = site.records.rows.assign(split=site.records.rows["split"].replace("train", "test"))
    try:
        known_patients(site.model.card, site.records.with_rows(judging))
        fold(site, site.settings.folds, 0)
    except MammoError as error:
        say(f"the rung is chosen on {len(cases)} positives of validation, not by cross-validation: {error.sentence}")
        return None
    return site.settings.folds


def _climbed(grounds: Grounds, rungs: Sequence[Rung], folds: int | None, say: Say) -> list[Step]:
    steps: list[Step] = []
    for number, rung in enumerate(rungs):
        say(f"{number + 1}/{len(rungs)}  {rung.title}")
        steps.append(_one(grounds, rung, folds, steps, lambda line: say(f"     {line}")))
        if steps[-1].why_not:
            say(f"     does not apply: {steps[-1].why_not}")
    return steps


def _one(grounds: Grounds, rung: Rung, folds: int | None, before: Sequence[Step], say: Say) -> Step:
    site = grounds.site
    why_not = rung.unfit(site)
    if why_not:
        return Step(rung, why_not)
    begun = time.monotonic()
    keras.utils.clear_session()
    folder = site.rung_folder(rung.name)
    try:
        climbed = rung.climb(site, folder, say)
        shared = isinstance(rung, ThresholdSet)
        predictions = before[0].predictions if shared else site_scores(climbed.model, site, folder)
        assert predictions is not None  # of `untouched`, which is always first and always applies
        choosing = choosing_scores(rung, predictions, site, folds, say)
        scored_as = before[0].rung.name if shared else rung.name
        unlabelled = None
        if climbed.way == MATCHED:
            unlabelled = matching_scores(climbed.model, site, site.rung_folder(scored_as), predictions)
    except MammoError as error:
        done_before = (folder / SECONDS).is_file()  # then what lies there is damaged, and says nothing of the rung
        if rung.name == "untouched" or error.code in NOT_THE_RUNG or done_before:
            raise
        return Step(rung, error.sentence)
    thresholds = thresholds_of(climbed.way, site, predictions, unlabelled)
    return Step(rung, "", climbed, predictions, choosing, thresholds, _seconds(folder, begun), scored_as)


def _seconds(folder: Path, begun: float) -> float:
    """What a rung took when it was done, not when it was read again."""
    path = folder / SECONDS
    if not path.is_file():
        write_json(path, {"seconds": round(time.monotonic() - begun, 1)})
    try:
        return float(read_json(path)["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        sentence = f"{path} does not say how many seconds its rung took"
        raise MammoError("json_broken", sentence, f"Remove it; what is left of {folder} is read again") from error


def _choice(grounds: Grounds, steps: Sequence[Step]) -> Choice:
    evaluation, measure = grounds.site.recipe.evaluation, grounds.measure
    margin, rule = grounds.site.settings.margin, grounds.site.settings.rule
    tables = {one.rung.name: one.choosing for one in steps if one.choosing is not None}
    numbers = {name: measure.of(table, evaluation) for name, table in tables.items()}
    found = choose(
        numbers, lambda first, second: measure.apart(tables[first], tables[second], evaluation), margin, rule
    )
    if found is None:
        why = next(iter(numbers.values())).get("why", "")
        raise MammoError("nothing_to_choose", f"no rung has a measure to choose by: {why}", "Label more patients")
    return found


def _with_point(site: Site, steps: Sequence[Step], choice: Choice, intended: Intended | None, tolerance: float) -> Step:
    """The chosen rung; where the untouched model's ranks are enough, the cheapest that sets its threshold right."""
    by_name = {one.rung.name: one for one in steps}
    taken = by_name[choice.rung]
    if taken.scored_as != "untouched":
        return taken
    points = []
    for one in steps:
        if one.scored_as == "untouched" and one.predictions is not None and one.thresholds is not None:
            validation = one.predictions[one.predictions["split"] == "validation"]
            threshold = one.thresholds.get(site.level)
            points.append(
                (one.rung.name, point_numbers(validation, threshold, site.level, site.recipe.evaluation, intended))
            )
    name = choose_point(points, tolerance)
    return taken if name is None else by_name[name]


def _budget(
    grounds: Grounds, steps: Sequence[Step], choice: Choice, patients: Sequence[int], say: Say
) -> dict[str, Any] | None:
    """What labels buy, of the chosen rung if it trains, else of the best that does."""
    if not patients:
        return None
    fitted = [one.rung for one in steps if isinstance(one.rung, Fitted) and not one.why_not]
    if not fitted:
        say("what labels buy is not known: no rung that trains applies here")
        return None
    below = {name: number["value"] for name, number in choice.against_best.items() if number["value"] is not None}
    values = {**below, choice.best: 0.0}
    best = max(fitted, key=lambda one: values.get(one.name, -math.inf))
    rung = next((one for one in fitted if one.name == choice.rung), best)
    say(f"what labels buy: {rung.title}")
    return budget(grounds.site, rung, patients, lambda line: say(f"     {line}"))


def _old_tables(grounds: Grounds, steps: Sequence[Step], say: Say) -> dict[str, pd.DataFrame]:
    """Rung -> predictions of the old site's test, of the untouched model and of all rungs that changed its weights."""
    if grounds.old is None or not len(grounds.old.positions("test")):
        return {}
    say("the old site")
    return {
        one.rung.name: old_scores(one.climbed, grounds.old, grounds.site, grounds.site.rung_folder(one.rung.name))
        for one in steps
        if one.climbed is not None and (one.rung.name == "untouched" or one.climbed.weights_changed)
    }
