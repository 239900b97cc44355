"""Numbers as lines of a table, as commands print them."""

from __future__ import annotations

from collections.abc import Mapping

from mammo_tf.evaluation.levels import level_named
from mammo_tf.evaluation.number_text import number_line, threshold_line
from mammo_tf.evaluation.numbers import Levels, Numbers

IN_SUBGROUPS = ("auc", "sensitivity", "specificity")  # shown; the file has all
NAME_WIDTH, SPLIT_WIDTH = 24, 11


def subgroup_lines(subgroups: Mapping[str, Mapping[str, Mapping[str, Numbers]]]) -> list[str]:
    """The numbers of every value of every column as lines of a table."""
    return [
        f"{split:{SPLIT_WIDTH}s}{column} {value:20s} {name:{NAME_WIDTH}s}{number_line(number)}"
        for column, splits in subgroups.items()
        for split, values in splits.items()
        for value, numbers in values.items()
        for name, number in numbers.items()
        if name in IN_SUBGROUPS
    ]


def number_lines(metrics: Mapping[str, Levels]) -> list[str]:
    """The numbers as lines of a table, in the order of the file; one that does not exist says why.

    A threshold that lacks for want of validation rows is left out: it is no number of any level.
    """
    rows = [
        (split, level, name, number)
        for split, levels in metrics.items()
        for level, numbers in levels.items()
        for name, number in numbers.items()
        if name != "threshold" or number["value"] is not None or number["n"]
    ]
    width = max([NAME_WIDTH, *(len(name) + 1 for _, _, name, _ in rows)])
    ahead = max([SPLIT_WIDTH, *(len(split) + 1 for split, _, _, _ in rows)])
    return [
        f"{split:{ahead}s}{level:8s} {name:{width}s}"
        + (threshold_line(number) if name == "threshold" else number_line(number, level_named(level).plural))
        for split, level, name, number in rows
    ]
