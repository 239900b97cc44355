"""The comparisons of a report, and what it adds to their files: q, where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, adjusted, read_metrics
from mammo_tf.evaluation.numbers import Levels


@dataclass(frozen=True)
class Comparison:
    """A paired difference: `comparison.json`, which split of it, and a note."""

    name: str
    path: Path
    split: str = "test"
    note: str = ""


def compared_levels(comparisons: Sequence[Comparison]) -> list[Levels]:
    """The levels of every comparison; where there are several, each p with its q.

    Raises:
        MammoError: as `read_metrics`; `split_missing`.
    """
    shown = {str(place): Metrics({"shown": _of_split(one)}) for place, one in enumerate(comparisons)}
    return [found["shown"] for found in adjusted(shown).values()]


def _of_split(one: Comparison) -> Levels:
    stored = read_metrics(one.path)
    if one.split not in stored:
        known = ", ".join(stored) or "none"
        raise MammoError("split_missing", f"{one.path} has no split {one.split!r}", f"There is {known}")
    return stored[one.split]


def adjusted_path(path: Path) -> Path:
    """Where the q of a report's comparisons stand: next to the report."""
    return Path(path).with_name(f"{Path(path).stem}_comparisons.json")


def adjusted_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """p and q of every test of the comparisons, as the file next to the report holds them, in their order."""
    return [
        {
            "comparison": one.name,
            "split": one.split,
            "levels": {
                level: {
                    metric: {"p": number["p"], "q": number["q"]}
                    for metric, number in numbers.items()
                    if number.get("q") is not None
                }
                for level, numbers in levels.items()
            },
        }
        for one, levels in zip(comparisons, compared_levels(comparisons), strict=True)
    ]
