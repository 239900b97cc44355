"""The ladder in a terminal: the answer, rows that stand below each other, no line too long."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from mammo_tf.reporting import ladder_text
from mammo_tf.reporting.ladder_text import ladder_lines

sys.path.insert(0, str(Path(__file__).parents[1]))
from ladder_example import make_ladder, missing  # noqa: E402 - it lies above this file


def cells_of(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_the_answer_then_a_row_for_each_rung() -> None:
    ladder = make_ladder()
    lines = ladder_lines(ladder)
    gap = lines.index("")
    assert " ".join(lines[:gap]) == ladder["answer"]
    heading, rows = lines[gap + 1], lines[gap + 2 : -1]
    assert len(rows) == len(ladder["rungs"]) == 14
    for rung, line in zip(ladder["rungs"], rows, strict=True):
        assert line[2:].startswith(rung["title"])
        assert line.startswith("* ") == (rung["name"] == "harmonised")
    assert cells_of(rows[5]) == [
        "* Harmonised", "unlabelled pictures", "0.831 (0.762-0.894)", "+0.089 (+0.038 to +0.137)", "0.805/0.798",
    ]  # fmt: skip
    start = heading.index("AUC of breasts")
    assert all(row[start - 2 : start] == "  " and row[start] == "0" for row in rows if "does not apply" not in row)


def test_no_line_is_too_long_and_reasons_stay_whole() -> None:
    ladder = make_ladder()
    why = "a network of several branches trains on looks of its own making: " * 3
    ladder["rungs"][6]["why_not"] = why
    ladder["rungs"][7]["title"] = "Normalisation layers of the encoder and of whatever else there is in it"
    ladder["rungs"][8]["title"] = "Normalisation layers of the decoder and of whatever else there is in it"
    ladder["measure_title"] = "Dice of images with a finding that is looked for and found"
    ladder["answer"] += " word" * 60
    lines = ladder_lines(ladder)
    assert max(map(len, lines)) <= 120
    assert "".join(why.split()) in "".join("".join(lines).split())
    names = [line[2:30].split("  ")[0] for line in lines if "Normalisation" in line or "coder" in line]
    assert len(set(names)) == len(names) >= 2


def test_what_is_missing_is_a_dash() -> None:
    ladder = make_ladder()
    test = ladder["rungs"][5]["test"]
    test["at_own"]["sensitivity"] = None
    test["measure"] = missing("one class only")
    row = next(line for line in ladder_lines(ladder) if line.startswith("* Harmonised"))
    assert cells_of(row) == ["* Harmonised", "unlabelled pictures", "-", "+0.089 (+0.038 to +0.137)", "-/0.798"]
    test["at_own"] = None
    assert next(line for line in ladder_lines(ladder) if line.startswith("* Harmonised")).endswith(" -")


def test_it_draws_nothing() -> None:
    tree = ast.parse(Path(ladder_text.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "__future__", "collections.abc", "typing", "mammo_tf.evaluation.number_text", "mammo_tf.reporting.short_names",
    }  # fmt: skip
