"""A patient model from patients: what `mammo-tf patient-model` does.

Gradient boosting with the settings that the thesis's search ended with, or the best of a search of our own; a random
forest next to it; and as rows of the same table the plain maximum and mean of the four view scores, which a classifier
must beat to be worth its trouble. Operating point and calibration are chosen on validation, never on test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from mammo_tf.claims import LOCK, Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, OperatingRule, Resampling
from mammo_tf.evaluation.calibration import METHODS
from mammo_tf.evaluation.intervals import OVER_PATIENTS
from mammo_tf.evaluation.numbers import Numbers
from mammo_tf.evaluation.operating import G_MEAN
from mammo_tf.evaluation.rates import rates_elsewhere
from mammo_tf.fields import convert, set_fields, to_json, unknown_field
from mammo_tf.files import atomic_path, disk_errors, read_json, write_json
from mammo_tf.patients.classifier import (
    FOREST,
    MODELS,
    SEEDS,
    PatientClassifier,
    Settings,
    check_fittable,
    fit_classifier,
    with_threshold,
)
from mammo_tf.patients.inputs import PatientInputs
from mammo_tf.patients.rows import (
    Row,
    as_run_numbers,
    compared,
    make_row,
    notes_on,
    plain_scores,
    write_rows,
)
from mammo_tf.patients.search import BOOSTING_GRID, FOREST_GRID, Found, Grid, grid_points, grid_search
from mammo_tf.patients.store import PatientModel, save_patient_model
from mammo_tf.patients.table import PatientTable

BASES: Mapping[str, Settings] = {"gradient_boosting": Settings(), "random_forest": FOREST}
GRIDS: Mapping[str, Grid] = {"gradient_boosting": BOOSTING_GRID, "random_forest": FOREST_GRID}
REQUEST = "request.json"
PATIENT_MODEL = Kind(
    REQUEST, "patient model", "a patient model of other patients, settings or grids", "other_patient_model"
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class PatientRequest:
    """How a patient model is made.

    Attributes:
        settings: classifier -> settings; those of the thesis by default.
        grids: classifier -> grid to search, around its settings; empty for no search.
        folds, seed: of the search.
        keep: the classifier that goes into `model/`.
        rule: how the operating point is chosen, on validation.
        resampling: how intervals are made, over patients.
        calibration: "platt", "isotonic", "temperature", fitted on validation; None for none.
        prevalence: of positives where the model will work: PPV, NPV and recall rate are given for it as well.
        as_run: show the numbers at a threshold chosen on test next to the others, as the thesis did.
        workers: processes of the search.
    """

    settings: Mapping[str, Settings] = field(default_factory=lambda: dict(BASES))
    grids: Mapping[str, Grid] = field(default_factory=dict)
    folds: int = 5
    seed: int = 0
    keep: str = "gradient_boosting"
    rule: OperatingRule = G_MEAN
    resampling: Resampling = OVER_PATIENTS
    calibration: str | None = "platt"
    prevalence: float | None = None
    as_run: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        if self.keep not in MODELS:
            raise MammoError("settings_wrong", f"classifier {self.keep!r} is unknown", f"Known are {', '.join(MODELS)}")
        if self.calibration not in (None, *METHODS):
            known = f"Known are {', '.join(METHODS)}, none"
            raise MammoError("method_unknown", f"calibration {self.calibration!r} is unknown", known)
        if not 0 <= self.seed < SEEDS:
            raise MammoError(
                "settings_wrong", f"the seed is {self.seed!r}", f"Take a whole number from 0 to {SEEDS - 1}"
            )
        if self.prevalence is not None:
            rates_elsewhere(self.prevalence)
        for name, grid in self.grids.items():
            grid_points(grid, self.settings[name])  # a wrong one is told before the work


@dataclass(frozen=True)
class PatientFit:
    """What `fit_patient_model` found.

    Attributes:
        rows: of the table, by name.
        comparison: as in `comparison.json`.
        as_run: the numbers of the extra row; empty where it was not asked for.
        settings: classifier -> settings that it was fitted with.
        model: folder of the stored model.
        notes: what a reader should know, one line each.
    """

    rows: Mapping[str, Row]
    comparison: Mapping[str, Metrics]
    as_run: Mapping[str, Numbers]
    settings: Mapping[str, Settings]
    model: Path
    notes: tuple[str, ...]


def fit_patient_model(
    inputs: PatientInputs, folder: str | Path, request: PatientRequest, say: Say = lambda _: None
) -> PatientFit:
    """Fits the classifiers to the split train, and writes everything into a folder.

    Leaves `model/`, `predictions_<row>.csv`, `metrics.json` (`{row: {split: {"patient": {metric: number}}}}`),
    `comparison.json`, `figures/`, `search/` with every point of a search, `patients.csv` where the table was assembled
    here, `request.json`. The same request in the same folder continues where a killed search stopped.

    Args:
        inputs: patients of all splits.
        folder: made, or left by the same patients and settings earlier.
        request: how.
        say: is told one line at a time what is done.

    Raises:
        MammoError: `other_patient_model`, `folder_busy`; those of `fit_classifier`, `grid_search`, `make_row`.
    """
    folder = Path(folder)
    with claim(folder, PATIENT_MODEL, _asked(inputs, request), make_room=partial(_holds_nothing, folder)):
        return _fitted(inputs, folder, request, say)


def _fitted(inputs: PatientInputs, folder: Path, request: PatientRequest, say: Say) -> PatientFit:
    train = inputs.split("train")
    for name in MODELS:
        points = grid_points(request.grids.get(name, {}), request.settings[name])
        check_fittable(train, max(points, key=lambda point: point.components))
    settings = {name: _searched(name, train, folder, request, say) for name in MODELS}
    fitted = {name: fit_classifier(train, settings[name]) for name in MODELS}
    scores = {name: classifier.scores(inputs.table) for name, classifier in fitted.items()}
    rows = {
        name: make_row(
            name, inputs.table, values, request.rule, request.resampling, request.calibration, request.prevalence
        )
        for name, values in (scores | plain_scores(inputs.table)).items()
    }
    if inputs.frame is not None:
        with atomic_path(folder / "patients.csv") as beside:
            inputs.frame.to_csv(beside, index=False, lineterminator="\n")
    comparison = compared(rows, request.resampling)
    kept = rows[request.keep]
    as_run = {}
    if request.as_run and (inputs.table.splits == "test").any():
        as_run = {request.keep: as_run_numbers(kept, request.rule, request.resampling)}
        write_json(folder / "as_run.json", {name: {"test": {"patient": one}} for name, one in as_run.items()})
    _forget(folder, as_run=bool(as_run), patients=inputs.frame is not None)
    write_json(folder / "metrics.json", {name: row.metrics.to_json() for name, row in rows.items()})
    write_json(folder / "comparison.json", {name: one.to_json() for name, one in comparison.items()})
    write_rows(folder, rows, [request.keep])
    save_patient_model(_model(fitted[request.keep], kept, inputs, request), folder / "model")
    return PatientFit(rows, comparison, as_run, settings, folder / "model", (*inputs.notes, *notes_on(kept, rows)))


def _forget(folder: Path, as_run: bool, patients: bool) -> None:
    """Removes what an earlier call left and this one does not write again; figures are drawn again."""
    with disk_errors(folder):
        if not as_run:
            (folder / "as_run.json").unlink(missing_ok=True)
        if not patients:
            (folder / "patients.csv").unlink(missing_ok=True)
        for figure in (folder / "figures").glob("*"):
            figure.unlink()


def _asked(inputs: PatientInputs, request: PatientRequest) -> dict[str, Any]:
    """One set of patients, settings and grids; rules and intervals may change."""
    table = inputs.table
    content = repr((table.names, table.groups.tolist(), table.labels.tolist(), table.splits.tolist())).encode()
    asked = {
        "patients": hashlib.sha256(content + table.values.tobytes()).hexdigest(),
        "settings": dict(request.settings),
        "grids": {name: dict(grid) for name, grid in request.grids.items()},
        "folds": request.folds,
        "seed": request.seed,
    }
    return dict(to_json(asked))


def _holds_nothing(folder: Path) -> bool:
    """Whether a request that failed left nothing but itself, so that another one may take its place."""
    return all(item.name in (REQUEST, LOCK) for item in folder.iterdir())


def _searched(name: str, train: PatientTable, folder: Path, request: PatientRequest, say: Say) -> Settings:
    """Settings of a classifier: the best of its search, or as they were given."""
    if name not in request.grids:
        return request.settings[name]
    place = folder / "search" / name
    found = grid_search(
        train, request.grids[name], request.settings[name], request.folds, request.seed, place, request.workers
    )
    _write_search(found, request.grids[name], place.with_suffix(".csv"))
    best = found[0]
    words = ", ".join(f"{key} {getattr(best.settings, key)}" for key in request.grids[name])
    say(
        f"{name}: best of {len(found)} by {request.folds} folds: AUC {best.mean:.4f} (sd {best.deviation:.4f}): {words}"
    )
    return best.settings


def _write_search(found: list[Found], grid: Grid, path: Path) -> None:
    rows = [
        {name: getattr(one.settings, name) for name in grid}
        | {"auc_mean": one.mean, "auc_sd": one.deviation}
        | {f"auc_fold_{number}": value for number, value in enumerate(one.folds, 1)}
        for one in found
    ]
    with atomic_path(path) as beside:
        pd.DataFrame(rows).to_csv(beside, index=False, lineterminator="\n")


def _model(classifier: PatientClassifier, row: Row, inputs: PatientInputs, request: PatientRequest) -> PatientModel:
    chosen = classifier if row.threshold is None else with_threshold(classifier, row.threshold)
    train = inputs.split("train")
    facts = {
        "training_patients": len(train.labels),
        "training_positives": int(train.labels.sum()),
        "validation_patients": int((inputs.table.splits == "validation").sum()),
        "no_calibration_because": row.why_not,
    }
    return PatientModel(chosen, inputs.extraction, row.calibration, f"{request.rule.words}, on validation", facts=facts)


def request_settings(changes: Iterable[tuple[str, str]]) -> dict[str, Settings]:
    """Settings of both classifiers with fields changed: `trees=500` for both, `random_forest.trees=500` for one.

    Raises:
        MammoError: `field_unknown`, `field_wrong`, `settings_wrong`.
    """
    pairs: dict[str, list[tuple[str, str]]] = {name: [] for name in MODELS}
    for path, text in changes:
        model, dot, key = path.partition(".")
        if dot and model not in MODELS:
            raise unknown_field(path, [f"{name}.{known}" for name in MODELS for known in to_json(Settings())])
        for name in [model] if dot else MODELS:
            pairs[name].append((key if dot else path, text))
    settings = {name: set_fields(BASES[name], pairs[name]) for name in MODELS}
    return {name: replace(one, model=name) for name, one in settings.items()}


def read_grids(path: str | Path | None) -> dict[str, Grid]:
    """Grids of a JSON file, or those of Table 1.

    Args:
        path: `{"components": [10, 20], ...}` for gradient boosting alone, or `{"gradient_boosting": {...},
            "random_forest": {...}}`, of which only those named are searched; None for the published ranges of both.

    Raises:
        MammoError: `file_missing`, `json_broken`, `grid_wrong`, `field_unknown`, `field_wrong`.
    """
    if path is None:
        return dict(GRIDS)
    stored = read_json(path)
    if not isinstance(stored, dict) or not stored:
        raise MammoError("grid_wrong", f"{path} is not a grid", 'Such as {"components": [10, 20], "depth": [2, 3]}')
    named = stored if set(stored) <= set(MODELS) else {"gradient_boosting": stored}
    return {name: _grid(grid, f"{path}") for name, grid in named.items()}


def _grid(grid: Any, where: str) -> Grid:
    kinds = get_type_hints(Settings)
    kinds.pop("model")
    if not isinstance(grid, dict) or not grid:
        raise MammoError("grid_wrong", f"{where} has a grid without fields", "Give lists of values by field")
    for key, values in grid.items():
        if key not in kinds:
            raise unknown_field(str(key), list(kinds))
        if not isinstance(values, list) or not values:
            raise MammoError("grid_wrong", f"{where}: {key} is {values!r}, not a list of values")
    return {key: tuple(convert(kinds[key], value, f"{where}: {key}") for value in grid[key]) for key in grid}
