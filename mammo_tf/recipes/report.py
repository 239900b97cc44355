"""A run folder to its report."""

from __future__ import annotations

from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json
from mammo_tf.recipes.examples import read_examples, write_examples
from mammo_tf.recipes.run_folder import check_format
from mammo_tf.recipes.runner import RunResult
from mammo_tf.reporting import Comparison, Curve, Entry, Example, Report, write_report
from mammo_tf.study import findings_from_json


def report_run(folder: str | Path) -> Path:
    """Writes `report.html` of a run folder from the files that lie there, and returns its path.

    Raises:
        MammoError: `not_a_run` if the folder is not a finished run.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        raise MammoError("not_a_run", f"{folder} holds no finished run", "Run mammo-tf run first")
    recipe = check_format(folder / "recipe.json")["recipe"]
    entries = [Entry("this model", folder / "predictions_test.csv", folder / "metrics.json")]
    comparisons = []
    if (folder / "comparison.json").is_file():
        before = folder / "before"
        entries.insert(0, Entry("start model", before / "predictions_test.csv", before / "metrics.json"))
        comparisons = [Comparison("this model minus the start model", folder / "comparison.json")]
    curves = [Curve(recipe["name"], folder / "log.csv")] if (folder / "log.csv").is_file() else []
    facts = run_facts(folder)
    report = Report(
        title=recipe["name"], lead=recipe["about"], entries=tuple(entries), comparisons=tuple(comparisons),
        curves=tuple(curves), examples=run_examples(folder), facts=facts, warnings=(), root=folder,
    )  # fmt: skip
    write_report(report, folder / "report.html")
    return folder / "report.html"


def finish_run(result: RunResult) -> Path:
    """Example pictures of a run that has just ended, then its report; returns the report's path."""
    test = result.predictions[result.predictions["split"] == "test"]
    write_examples(result.model, result.records, result.card, test, result.folder / "figures")
    return report_run(result.folder)


def run_examples(folder: Path) -> tuple[Example, ...]:
    """The example pictures of a run."""
    figures = folder / "figures"
    return tuple(
        Example(
            picture=figures / item["picture"], heatmap=figures / item["heatmap"] if item["heatmap"] else None,
            title=item["title"], score=item["score"], findings=findings_from_json(item["findings"]),
        )
        for item in read_examples(figures)
    )  # fmt: skip


def run_facts(folder: Path) -> dict[str, str]:
    """What was run, where, and with what."""
    recipe, found = read_json(folder / "recipe.json"), read_json(folder / "environment.json")
    packages = found["packages"]
    threads = found.get("threads")  # folders of earlier versions do not tell
    return {
        "command": found["command"],
        "recipe": recipe["recipe"]["name"],
        "revision": found["revision"] or "not a source tree",
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "python": f"{found['python']} on {found['platform']}",
        "devices": ", ".join(found["devices"]),
        **({"threads": f"{threads['intra_op']} in an operation, {threads['inter_op']} between"} if threads else {}),
        "data": recipe["asked"]["data"][:12],
    }
