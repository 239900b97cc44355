"""Anyone's predictions to metrics, comparison and figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_tf.evaluation import compare, compute_metrics, read_predictions
from mammo_tf.files import write_json
from mammo_tf.reporting import write_figures

LEVELS = ("image", "breast", "patient")


def evaluate_files(
    first: str | Path,
    second: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    join: str = "image_id",
    replicates: int = 2000,
    folder: str | Path | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of the first file, and the paired comparison with the second if there is one.

    Args:
        first, second: predictions; `columns` tells what their columns are called.
        join: column that tells which rows are the same case.
        replicates: of the bootstrap over patients.
        folder: where `metrics.json`, `comparison.json` and `figures/` go; None writes nothing.

    Raises:
        MammoError: as `read_predictions` and `compare`.
    """
    table = read_predictions(first, columns)
    metrics = compute_metrics(table, replicates=replicates)
    comparison: dict[str, Any] = {}
    if second is not None:
        comparison = compare(table, read_predictions(second, columns), join, replicates=replicates)
    if folder is not None:
        write_json(Path(folder) / "metrics.json", metrics)
        if comparison:
            write_json(Path(folder) / "comparison.json", comparison)
        write_figures(table, metrics, Path(folder) / "figures")
    return metrics, comparison


def number_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The numbers as lines of a table; one that does not exist says why."""
    lines = []
    for split, levels in metrics.items():
        for level in LEVELS:
            for name, number in levels.get(level, {}).items():
                lines.append(f"{split:11s}{level:8s} {name:24s}{shown(number)}")
    return lines


def shown(number: Mapping[str, Any]) -> str:
    """`0.812 (0.745 to 0.873), n 312`, or why there is no number."""
    if number["value"] is None:
        return f"- ({number.get('why', 'not known')})"
    ends = f" ({number['low']:.3f} to {number['high']:.3f})" if number["low"] is not None else ""
    test = f", p {number['p']:.3g}" if number.get("p") is not None else ""
    return f"{number['value']:.3f}{ends}, n {number['n']}{test}"
