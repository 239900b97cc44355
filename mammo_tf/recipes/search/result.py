"""What a search found, as `result.json`, of which the page is made, and `trials.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.selection import Selection
from mammo_tf.files import atomic_path, read_json, write_json
from mammo_tf.recipes.search.importance import EPOCHS, FOLDS, REPEATS, SHUFFLES, TREES, importances, position
from mammo_tf.recipes.search.search import best_of, versions, waited
from mammo_tf.recipes.search.settings import BAYESIAN, HYPERBAND, Search
from mammo_tf.recipes.search.space import Dimension, Number, OneOf, Space, Whole
from mammo_tf.recipes.search.trial_log import Trial
from mammo_tf.recipes.search.trials import Ground, validation_of
from mammo_tf.reporting.search import write_search_page

RESULT, TABLE, REPORT, BEST = "result.json", "trials.csv", "report.html", "best.py"
WORDS = {"random": "random search", BAYESIAN: "Bayesian search", HYPERBAND: "Hyperband"}
FEW_PATIENTS = 100
TICKS = 5  # of a choice; of more only the ends are named


def write_result(ground: Ground, search: Search, trials: Sequence[Trial]) -> dict[str, Any]:
    """Writes `result.json`, `trials.csv` and `report.html`; gives the content of the first.

    Raises:
        MammoError: `search_failed` where no trial has a score; what a disk may answer.
    """
    content = result_of(ground, search, trials)
    with waited(ground.folder):
        write_json(ground.folder / RESULT, content)
        with atomic_path(ground.folder / TABLE) as beside:
            table_of(content).to_csv(beside, index=False, lineterminator="\n")
        write_search_page(read_json(ground.folder / RESULT), ground.folder / REPORT)
    return content


def result_of(ground: Ground, search: Search, trials: Sequence[Trial]) -> dict[str, Any]:
    """The content of `result.json`; errors as `write_result`."""
    best = best_of(list(trials))
    if best is None:
        raise MammoError("search_failed", f"none of {len(trials)} trials has a score", "See why in trials.jsonl")
    objective = ground.objective
    selection, why = _selection(ground, trials)
    axes = [_axis(name, dimension) for name, dimension in ground.space.fields.items()]
    rows = _rows(ground, trials)
    epochs = [trial.begun.epochs or 0 for trial in trials]
    if len(set(epochs)) > 1:
        axes.append({"name": EPOCHS, "ticks": [[0.0, str(min(epochs))], [1.0, str(max(epochs))]]})
    scores = [trial.score for trial in trials if trial.score is not None]
    axes.append({"name": objective.title, "ticks": [[0.0, f"{min(scores):.3f}"], [1.0, f"{max(scores):.3f}"]]})
    found = importances(ground.space, trials)
    how = f"{FOLDS} folds, {REPEATS} repeats, {SHUFFLES} shuffles, {TREES} trees, scikit-learn"
    return {
        "title": f"Search over {ground.recipe.name}",
        "answer": _answer(objective.title, best, len(scores), selection),
        "more": _more(objective.title, selection),
        "notes": _notes(ground, trials, selection, why),
        "synthetic": bool(ground.records.rows["manufacturer"].str.contains("phantom", case=False).any()),
        "objective": {"name": objective.name, "title": objective.title, "rows": objective.rows},
        "method": WORDS[search.method],
        "adaptive": search.method in (BAYESIAN, HYPERBAND),
        "best": best.name,
        "selection": None if selection is None else selection._asdict() | {"how": selection.words},
        "selection_why": why,
        "importance": found._asdict() | {"fields": [one._asdict() for one in found.fields], "how": how},
        "space": [{"name": name, "words": _words(dimension)} for name, dimension in ground.space.fields.items()],
        "axes": axes,
        "trials": rows,
        "facts": {
            "method": f"{WORDS[search.method]}, seed {search.seed}, {len(trials)} trials",
            "validation patients": str(_patients(ground)),
            "records": ground.records.digest[:12],
            **versions(),
        },
    }


def table_of(content: dict[str, Any]) -> pd.DataFrame:
    """The trials as a table, in the order in which they began."""
    rows = [
        {"trial": one["name"], "score": one["score"], **one["labels"]}
        | {name: one[name] for name in ("epochs", "seconds", "after", "why")}
        for one in content["trials"]
    ]
    return pd.DataFrame(rows).sort_values("trial", kind="stable")


def _selection(ground: Ground, trials: Sequence[Trial]) -> tuple[Selection | None, str]:
    """Of the best trial; or None, and why."""
    scored = [trial for trial in trials if trial.score is not None]
    tables = [validation_of(ground.place(trial.name)) for trial in scored]
    try:
        return ground.objective.selection(tables), ""
    except MammoError as error:
        return None, error.sentence


def _answer(title: str, best: Trial, scored: int, selection: Selection | None) -> str:
    """One sentence."""
    of = f"the best of {scored}, " if scored > 1 else ""
    score = f"Trial {best.name}, {of}has a validation {title} of {best.score:.3f}"
    if selection is None:
        return f"{score}."
    if selection.selection < 0.0005:
        return f"{score}; none of that is seen to be selection."
    return f"{score}; {selection.selection:.3f} of that is selection."


def _more(title: str, selection: Selection | None) -> str:
    if selection is None:
        return ""
    return (
        f"On patients who did not choose it, a trial so chosen has {title} {selection.corrected:.3f} "
        f"({selection.low:.3f} to {selection.high:.3f})."
    )


def _notes(ground: Ground, trials: Sequence[Trial], selection: Selection | None, why: str) -> list[str]:
    notes = [] if not why else [f"how much of it is selection is not known: {why}"]
    failed = sum(trial.ended is not None and trial.score is None for trial in trials)
    if failed:
        notes.append(f"{failed} of {len(trials)} trials failed; the table says why")
    patients = _patients(ground)
    if patients < FEW_PATIENTS:
        notes.append(f"{patients} validation patients choose with much noise")
    if selection is not None and selection.above_mean <= selection.by_chance:
        notes.append("the best trial stands no further above the others than chance would put it if all were equal")
    return notes


def _patients(ground: Ground) -> int:
    rows = ground.records.rows.iloc[ground.records.positions("validation")]
    return int(rows["patient_id"].nunique())


def _rows(ground: Ground, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A row a trial, the best first, failed ones last."""
    scores = [trial.score for trial in trials if trial.score is not None]
    low, high = min(scores), max(scores)
    epochs = [trial.begun.epochs or 0 for trial in trials]
    order = sorted(trials, key=lambda trial: -1.0 if trial.score is None else trial.score, reverse=True)
    rows = []
    for rank, trial in enumerate(order):
        fields = ground.space.fields
        places = {name: position(fields[name], label) for name, label in trial.begun.labels.items()}
        if max(epochs) > min(epochs):
            places[EPOCHS] = ((trial.begun.epochs or 0) - min(epochs)) / (max(epochs) - min(epochs))
        if trial.score is not None:
            places[ground.objective.title] = 0.5 if high == low else (trial.score - low) / (high - low)
        ended = trial.ended
        rows.append(
            {
                "name": trial.name, "score": trial.score, "rank": rank, "labels": dict(trial.begun.labels),
                "places": places, "after": trial.begun.after,
                "epochs": 0 if ended is None else ended.epochs, "seconds": 0.0 if ended is None else ended.seconds,
                "why": "" if ended is None else ended.why,
            }
        )  # fmt: skip
    return rows


def _axis(name: str, dimension: Dimension) -> dict[str, Any]:
    """Name and ticks of a field's axis."""
    if isinstance(dimension, OneOf):
        labels = dimension.labels
        shown = labels if len(labels) <= TICKS else (labels[0], labels[-1])
        return {"name": name, "ticks": [[position(dimension, label), label] for label in shown]}
    return {"name": name, "ticks": [[0.0, f"{dimension.low:g}"], [1.0, f"{dimension.high:g}"]]}


def _words(dimension: Dimension) -> str:
    """A range for readers."""
    if isinstance(dimension, OneOf):
        words = f"one of {', '.join(dimension.labels)}"
    else:
        words = f"{dimension.low:g} to {dimension.high:g}"
        words += ", logarithmic" if isinstance(dimension, Number) and dimension.log else ""
        words += f", by {dimension.step}" if isinstance(dimension, Whole) and dimension.step > 1 else ""
    when = dimension.when
    return words if when is None else f"{words}; where {when.field} is {' or '.join(when.labels)}"


def space_words(space: Space) -> list[str]:
    """A line a field."""
    return [f"{name}: {_words(dimension)}" for name, dimension in space.fields.items()]
