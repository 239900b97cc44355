"""What came of a ladder as numbers and words: the content of `ladder.json`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.adaptation.ladder_choice import Choice
from mammo_tf.adaptation.ladder_groups import subgroup_rows
from mammo_tf.adaptation.ladder_measure import AreaUnderCurve, cases_of
from mammo_tf.adaptation.ladder_site import Grounds, counts_of
from mammo_tf.adaptation.ladder_thresholds import Intended, point_numbers
from mammo_tf.adaptation.ladder_words import answer
from mammo_tf.adaptation.rungs import Climbed, Rung
from mammo_tf.adaptation.rungs.rung import LABELS, NOTHING
from mammo_tf.evaluation import Metrics, adjusted
from mammo_tf.evaluation.comparison import FEWEST
from mammo_tf.evaluation.numbers import Number
from mammo_tf.evaluation.site_differences import auc_apart
from mammo_tf.files import source_revision
from mammo_tf.recipes.proof import UNKNOWN
from mammo_tf.records.domain_statistics import machines_of

FORMAT = 1
UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Step:
    """A rung, and what came of it.

    Attributes:
        rung: which.
        why_not: why it does not apply; then there is nothing else.
        climbed: what it made of the model.
        predictions: at the site, all splits.
        choosing: predictions that it is judged by when one is chosen.
        thresholds: level -> its own.
        seconds: that it took, the choosing included.
        scored_as: the rung whose scores these are: its own name, or `untouched` where only the threshold differs.
    """

    rung: Rung
    why_not: str = ""
    climbed: Climbed | None = None
    predictions: pd.DataFrame | None = None
    choosing: pd.DataFrame | None = None
    thresholds: dict[str, float] | None = None
    seconds: float = 0.0
    scored_as: str = ""


def ladder_json(
    grounds: Grounds,
    steps: Sequence[Step],
    choice: Choice,
    taken: Step,
    intended: Intended | None,
    folds: int | None,
    bought: dict[str, Any] | None,
    old: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """The content of `ladder.json` (docs/ladder.md).

    Args:
        grounds: what was opened.
        steps: the rungs, in order of cost.
        choice: by the measure.
        taken: the rung that is left as the model: the choice, or the one that sets its threshold right.
        intended: operating point; None where it is not known.
        folds: of the cross-validation that the choice was made on; None for validation.
        bought: what labels buy; None where nobody asked.
        old: rung -> predictions of the old site's test; empty where it is not measured.
    """
    site, measure = grounds.site, grounds.measure
    tests = {one.rung.name: _test(one) for one in steps if one.predictions is not None}
    content: dict[str, Any] = {
        "format": FORMAT,
        "title": f"{site.start.name} at {grounds.name}",
        "level": site.level,
        "measure": measure.name,
        "measure_title": measure.title,
        "site": {
            **counts_of(site), "machines": sorted({machine.words for machine in machines_of(site.records)}),
            "unlabelled_patients": _unlabelled(grounds),
        },
        "threshold": site.threshold,
        "intended": None if intended is None else intended.to_json(),
        "choice": {
            "rung": taken.rung.name, "by_measure": choice.rung, "best": choice.best,
            "way": "" if taken.climbed is None else taken.climbed.way,
            "split": "validation" if folds is None else "cross-validation", "folds": folds,
            "rule": site.settings.rule, "margin": site.settings.margin, "tolerance": site.settings.tolerance,
            "positives": _positives(grounds, steps), "reason": choice.reason,
        },
        "rungs": _rungs(grounds, steps, choice, intended, tests),
        "old_site": _old_site(grounds, tests, old, steps),
        "subgroups": subgroup_rows(tests[UNTOUCHED], tests[taken.rung.name], measure, site.recipe.evaluation)
        if taken.scored_as != UNTOUCHED else [],
        "label_budget": bought,
        "warnings": _warnings(grounds, taken, _positives(grounds, steps)),
        "synthetic": site.records.rows["manufacturer"].str.contains("phantom", case=False).any().item(),
        "facts": {
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), "revision": source_revision(),
            "model": site.model.card.identity[:12] or "not told", "site": site.records.digest[:12],
            "old site": "not given" if grounds.old is None else grounds.old.digest[:12],
            "resamples": str(site.settings.replicates), "seed": str(site.settings.training.seed),
        },
    }  # fmt: skip
    return {**content, "answer": answer(content)}


def _test(one: Step) -> pd.DataFrame:
    assert one.predictions is not None
    return one.predictions[one.predictions["split"] == "test"].reset_index(drop=True)


def _unlabelled(grounds: Grounds) -> int:
    """Patients of training none of whose pictures has a label."""
    site = grounds.site
    rows = site.records.rows.iloc[site.records.positions("train")]
    return int(rows["patient_id"].nunique() - site.labelled_in_training["patient_id"].nunique())


def _positives(grounds: Grounds, steps: Sequence[Step]) -> int:
    """Positive cases that the choice was made on."""
    table = steps[0].choosing
    assert table is not None  # of `untouched`
    if not isinstance(grounds.measure, AreaUnderCurve):
        return int((table["label"] == 1).sum())
    return int(cases_of(table, grounds.measure.level, grounds.site.recipe.evaluation)["label"].sum())


def _rungs(
    grounds: Grounds,
    steps: Sequence[Step],
    choice: Choice,
    intended: Intended | None,
    tests: Mapping[str, pd.DataFrame],
) -> list[dict[str, Any]]:
    site, measure = grounds.site, grounds.measure
    evaluation = site.recipe.evaluation
    against: dict[str, Number] = {}
    for one in steps:
        if one.climbed is not None and one.scored_as != UNTOUCHED:
            against[one.rung.name] = measure.apart(tests[UNTOUCHED], tests[one.rung.name], evaluation)
    against = _with_q(against, measure.level)
    rows, below = [], ""
    for one in steps:
        row = _row(grounds, one)
        rows.append(row)
        if one.climbed is None or one.choosing is None:
            continue
        name, test = one.rung.name, tests[one.rung.name]
        row["chosen_on"] = {
            "measure": measure.of(one.choosing, evaluation), "against_best": choice.against_best.get(name)
        }  # fmt: skip
        same = one.scored_as == UNTOUCHED
        row["test"] = {
            "measure": measure.of(test, evaluation),
            "against_untouched": against.get(name),
            "below": "" if same else below,
            "against_below": None if same or not below else measure.apart(tests[below], test, evaluation),
            "at_carried": point_numbers(test, site.threshold, site.level, evaluation, intended),
            "at_own": _own(one, test, site.level, grounds, intended),
        }
        row["predictions"] = f"rungs/{one.scored_as}/predictions_test.csv"
        below = one.scored_as
    return rows


def _own(
    one: Step, test: pd.DataFrame, level: str, grounds: Grounds, intended: Intended | None
) -> dict[str, Any] | None:
    assert one.climbed is not None
    threshold = (one.thresholds or {}).get(level)
    found = point_numbers(test, threshold, level, grounds.site.recipe.evaluation, intended)
    return None if found is None else {"way": one.climbed.way, **found}


def _row(grounds: Grounds, one: Step) -> dict[str, Any]:
    site, rung = grounds.site, one.rung
    training = site.records.rows.iloc[site.records.positions("train")]["patient_id"].nunique()
    pictures = rung.needs != NOTHING and (rung.needs != LABELS or getattr(rung, "on_harmonised", False))
    return {
        "name": rung.name, "title": rung.title, "needs": rung.needs,
        "labelled_patients": int(site.labelled_in_training["patient_id"].nunique()) if rung.needs == LABELS else 0,
        "unlabelled_patients": min(int(training), site.settings.patients) if pictures else 0,
        "seconds": one.seconds, "why_not": one.why_not,
        "notes": [] if one.climbed is None else list(one.climbed.notes),
    }  # fmt: skip


def _with_q(numbers: Mapping[str, Number], level: str) -> dict[str, Number]:
    """Each p with its q: Benjamini and Hochberg's over the ladder."""
    found = adjusted({name: Metrics({"test": {level: {"difference": one}}}) for name, one in numbers.items()})
    return {name: found[name]["test"][level]["difference"] for name in numbers}


def _old_site(
    grounds: Grounds, tests: Mapping[str, pd.DataFrame], old: Mapping[str, pd.DataFrame], steps: Sequence[Step]
) -> dict[str, Any] | None:
    """Learning, potential and retention; None where the old site is not measured."""
    if not old or grounds.old is None:
        return None
    measure, evaluation = grounds.measure, grounds.site.recipe.evaluation
    potential = None
    if isinstance(measure, AreaUnderCurve):
        here, there = (cases_of(table, measure.level, evaluation) for table in (tests[UNTOUCHED], old[UNTOUCHED]))
        potential = auc_apart(here, there, evaluation.resampling)
    rungs: dict[str, Any] = {}
    for one in steps:
        name = one.rung.name
        if one.climbed is None or one.scored_as == UNTOUCHED:
            continue
        same = not one.climbed.weights_changed
        rungs[name] = {
            "measure": measure.of(old[UNTOUCHED if same else name], evaluation),
            "retention": None if same else measure.apart(old[UNTOUCHED], old[name], evaluation),
            "learning": measure.apart(tests[UNTOUCHED], tests[name], evaluation),
            "same_model": same,
        }
    own = measure.of(old[UNTOUCHED], evaluation)
    return {"name": grounds.old.folder.name, "measure": own, "potential": potential, "rungs": rungs}


def _warnings(grounds: Grounds, taken: Step, positives: int) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = []
    if positives < FEWEST:
        found.append(
            f"The choice rests on {positives} positive cases: with fewer than {FEWEST} a difference is not "
            "to be called one way or the other."
        )
    if grounds.start_patients == UNKNOWN:
        found.append(
            "Whether the model has seen patients of validation or test is unknown: it does not say whom it was trained "
            "on, or says so under another key."
        )
    machines = {machine.words for machine in machines_of(grounds.site.records)}
    if len(machines) > 1:
        found.append(
            f"The site has {len(machines)} machines, and every rung treats them as one: a ladder for each tells more."
        )
    if grounds.site.reference is None:
        found.append(
            "Scores of the model where it is known to work are not here, so the intended operating point is not known "
            "and scores cannot be matched."
        )
    elif grounds.site.matching is None:
        found.append(
            "Measured patches lie on findings, and pictures of where the model is known to work are not here (--old): "
            "scores cannot be matched, and rungs that learn from no label keep the model's own threshold."
        )
    notes = () if taken.climbed is None else taken.climbed.notes
    return [*found, *(f"{note[:1].upper()}{note[1:]}." for note in notes)]
