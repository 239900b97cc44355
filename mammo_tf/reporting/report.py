"""The report: one self-contained HTML file, every number traceable to a file of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_metrics, read_predictions
from mammo_tf.evaluation.number_text import LEGEND, REPORT_DIFFERENCE, number_text
from mammo_tf.files import disk_errors, write_json, write_text
from mammo_tf.reporting.comparisons import Comparison, adjusted_json, adjusted_path, compared_levels
from mammo_tf.reporting.examples import Example, example_figure, fitting_rows, map_maximum
from mammo_tf.reporting.figures import MODEL_FIGURES, forest_figure, roc_figure
from mammo_tf.reporting.losses import loss_figure, read_log
from mammo_tf.reporting.overlays import Overlay, fitting_overlays
from mammo_tf.reporting.page import environment, shown_path
from mammo_tf.reporting.palette import inline_svg
from mammo_tf.reporting.scores import PLURALS, Numbers, Scores, scores_at
from mammo_tf.reporting.tables import answer, auc_row, cell, further, scale_start, subgroups, ways

EXAMPLES_BUDGET = 3_500_000  # bytes of text that all example pictures may take
OVERLAYS_BUDGET = 1_500_000  # and all overlays
MOST_BYTES = 6_000_000
INVENTED = ("synthetic", "phantom")


@dataclass(frozen=True)
class Entry:
    """One row of the table of AUC, one line of the ROC figure.

    Args:
        name: such as "Site 2, untouched".
        predictions: a predictions file (contract Predictions).
        metrics: the `metrics.json` made of it.
        split: which part is shown.
        note: shown below the name, such as "not a fair fight at this size".
    """

    name: str
    predictions: Path
    metrics: Path
    split: str = "test"
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """A training: its `log.csv`."""

    name: str
    path: Path


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    Args:
        title, lead: what was asked, and where; the answer is added from the first comparison.
        entries, comparisons, curves, examples, overlays: may be empty.
        facts: what was run: command, recipe, revision, versions, time. Where one says "synthetic" or "phantom", the
            report says among its limits that the pictures are.
        warnings: shown at the top.
        root: paths are shown relative to it.
    """

    title: str
    lead: str
    entries: tuple[Entry, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    curves: tuple[Curve, ...] = ()
    examples: tuple[Example, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    root: Path = Path()


def write_report(report: Report, path: Path) -> None:
    """Writes the report as one HTML file without any reference to the outside; whole or not there.

    Same input, same bytes. Where the report compares more than once, what it adds to the files of the comparisons, q,
    stands in `<name>_comparisons.json` next to it.

    Raises:
        MammoError: `file_missing`, `json_broken`, `csv_broken` ... of a file that is named; `split_missing`;
            `name_doubled`; `report_too_large` over 6 MB; what a disk may answer.
    """
    text = render_report(report, Path(path))
    if len(text.encode()) > MOST_BYTES:
        raise MammoError(
            "report_too_large", f"the report takes {len(text.encode()) / 1e6:.1f} MB, 6 MB at most", "Show less in it"
        )
    write_text(path, text)
    if len(report.comparisons) > 1:
        write_json(adjusted_path(path), adjusted_json(report.comparisons))
    else:
        with disk_errors(adjusted_path(path)):
            adjusted_path(path).unlink(missing_ok=True)  # of an earlier report


def render_report(report: Report, path: Path = Path("report.html")) -> str:
    """The HTML text of a report that will be written to `path`; errors as `write_report`."""
    names = [entry.name for entry in report.entries]
    if len(set(names)) < len(names):
        raise MammoError("name_doubled", "two entries of the report have the same name", "Name them apart")
    tables = [read_predictions(entry.predictions) for entry in report.entries]
    metrics = [read_metrics(entry.metrics) for entry in report.entries]
    compared = compared_levels(report.comparisons)
    warnings = list(report.warnings)
    levels = []
    for level in PLURALS:
        models = {
            number: scores
            for number, entry in enumerate(report.entries)
            if (scores := scores_at(entry.name, tables[number], metrics[number], entry.split, level)) is not None
        }
        warnings += [
            f"{model.name}, {level} level: {model.disagreement()}. Evaluate again before believing either."
            for model in models.values()
            if model.disagreement()
        ]
        differences = [
            (one, numbers[level]) for one, numbers in zip(report.comparisons, compared, strict=True) if level in numbers
        ]
        if models or differences:
            levels.append(_level(level, models, differences))
    shown = {
        entry.name: table[table["split"] == entry.split] for entry, table in zip(report.entries, tables, strict=True)
    }
    rows = fitting_rows(report.examples, EXAMPLES_BUDGET)
    strongest = max(map(map_maximum, report.examples), default=0.0)
    return environment(report.root).get_template("report.html").render(
        report=report,
        levels=levels,
        curves=[
            (curve, inline_svg(loss_figure(read_log(curve.path)), f"loss-{number}", f"Loss curves: {curve.name}"))
            for number, curve in enumerate(report.curves)
        ],
        examples=[
            (example, example_figure(example, f"example-{number}", rows, strongest))
            for number, example in enumerate(report.examples)
        ],
        overlays=fitting_overlays(report.overlays, OVERLAYS_BUDGET),
        subgroups=subgroups(shown),
        adjusted_file=shown_path(adjusted_path(path), report.root),
        warnings=warnings,
        invented=_invented(report),
    )  # fmt: skip


def _level(level: str, models: dict[int, Scores], differences: Sequence[tuple[Comparison, Numbers]]) -> dict[str, Any]:
    """All that the template shows at one level."""
    start = scale_start(list(models.values()))
    seen = PLURALS[level]
    context: dict[str, Any] = {
        "key": level,
        "cases": seen,
        "scale_from": start,
        "rows": {number: auc_row(model, start) for number, model in models.items()},
        "further": further(models),
        "ways": ways([model.numbers for model in models.values()]),
        "answer": answer(differences[0][0].name, level, differences[0][1]) if differences else "",
        "differences": [
            {
                "one": one,
                "difference": cell(numbers.get("auc_difference"), form=REPORT_DIFFERENCE),
                "p": numbers.get("auc_difference", {}).get("p"),
                "p_least": numbers.get("auc_difference", {}).get("p_least", 0.0),
                "q": numbers.get("auc_difference", {}).get("q"),
                "delong": cell(numbers.get("auc_difference_delong"), form=REPORT_DIFFERENCE),
                "p_delong": numbers.get("auc_difference_delong", {}).get("p"),
                "n": (numbers.get("auc_difference") or {}).get("n", "—"),
            }
            for one, numbers in differences
        ],
        "difference_ways": ways([numbers for _, numbers in differences]),
        "roc": None,
        "forest": None,
        "panels": [],
    }
    if models:
        said = "; ".join(
            f"{model.name}: AUC {number_text(model.numbers.get('auc', {}), LEGEND)}" for model in models.values()
        )
        figure = roc_figure(list(models.values()), list(models), bands=len(models) <= 2)
        context["roc"] = inline_svg(figure, f"roc-{level}", f"ROC curves over {seen}. {said}")
    if differences:
        numbers = [one[1].get("auc_difference", {}) for one in differences]
        said = "; ".join(
            f"{one.name}: {number_text(number, LEGEND)}" for (one, _), number in zip(differences, numbers, strict=True)
        )
        figure = forest_figure([one.name for one, _ in differences], numbers)
        context["forest"] = inline_svg(figure, f"forest-{level}", f"Paired differences of AUC over {seen}. {said}")
    for number in models:
        context["panels"].append(_panel(level, number, models))
    return context


def _panel(level: str, number: int, models: dict[int, Scores]) -> dict[str, Any]:
    """One model by itself: its curve with the band before the others in grey, and its scores.

    A model that is alone has its band in the figure of all curves, so no second curve here.
    """
    model = models[number]
    others = [other for place, other in models.items() if place != number]
    about = f"{model.name}, {len(model.labels)} {PLURALS[level]}"
    roc: Markup | None = None
    if model.both_classes and others:
        roc = inline_svg(
            roc_figure([model], [number], behind=others),
            f"band-{level}-{number}",
            f"ROC curve with its 95 % band: {about}",
        )
    drawn = [(one, one.draw(model)) for one in MODEL_FIGURES]
    figures = [
        (inline_svg(figure, f"{one.name}-{level}-{number}", f"{one.title}: {about}"), one.caption)
        for one, figure in drawn
        if figure is not None
    ]
    why = str(model.numbers.get("auc", {}).get("why", "one class only"))
    return {
        "number": number,
        "name": model.name,
        "roc": roc,
        "figures": figures,
        "why": "" if model.both_classes else why,
    }


def _invented(report: Report) -> bool:
    """Whether the facts say that the pictures are not of women."""
    said = " ".join(f"{name} {value}" for name, value in report.facts.items()).casefold()
    return any(word in said for word in INVENTED)
