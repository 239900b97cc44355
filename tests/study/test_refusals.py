"""The table of refusals: whole, true to the code that raises them, and what the docs show."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.reading import codes
from mammo_tf.reading.collections import embed, options_of
from mammo_tf.study import Reject, write_rejects
from mammo_tf.study.refusals import ACCEPTABLE, BY_CODE, NONE, REFUSALS, accepted_cell, checked_codes, override_of

PACKAGE = Path(__file__).parents[2] / "mammo_tf"
DOCS = Path(__file__).parents[2] / "docs" / "refusals.md"
# What ends a command, or a call from Python, and never stands in rejects.csv.
OF_A_COMMAND = {
    "collection_unknown", "column_missing", "column_unknown", "folder_empty", "folder_gone", "folder_missing",
    "key_unusable", "labels_missing", "labels_unmatched", "option_unknown", "path_twice", "table_broken",
    "table_missing",
}  # fmt: skip
# Codes that are not written where they are raised, and what they may be.
COMPUTED = {
    "code": {"spot", "contours_broken", "ics_broken", "overlay_broken", *(code for code, _ in embed._REFUSED.values())},
    "error.code": set(),
    "word": set(codes.REFUSED_MODIFIERS),
    "kind": {"roi_mask", "cut_out"},
    "NOT_PREFERRED": {"not_preferred"},
    "f'{what}_contradictory'": {"laterality_contradictory", "view_contradictory"},
}


def raised() -> dict[str, str]:
    """Every code that the room `reading`, and what prepares pictures, refuse by, and a place where it does."""
    found = {}
    files = [*(PACKAGE / "reading").rglob("*.py"), PACKAGE / "records" / "prepare_image.py", PACKAGE / "guard.py"]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = {"MammoError": 0, "judge": 0, "Reject": 1}.get(called)
            if place is None or len(node.args) <= place or isinstance(node.args[0], ast.Starred):
                continue
            code = node.args[place]
            text = code.value if isinstance(code, ast.Constant) else ast.unparse(code)
            found[str(text)] = f"{path.relative_to(PACKAGE)}, line {node.lineno}"
    return found


def test_every_code_that_is_raised_stands_in_the_table() -> None:
    found = raised()
    written = {code for code in found if code not in COMPUTED and code not in ("UNFORESEEN", "worker_failed")}
    known = set(BY_CODE) | OF_A_COMMAND
    assert not {code: found[code] for code in written - known}
    assert set().union(*COMPUTED.values()) <= set(BY_CODE)
    assert len(REFUSALS) == len(BY_CODE), "no code stands there twice"


def test_what_can_be_accepted_is_what_is_judged() -> None:
    judged = set()
    for path in (PACKAGE / "reading").glob("*.py"):
        judged |= set(re.findall(r'\.judge\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert judged | set(codes.REFUSED_MODIFIERS) == set(ACCEPTABLE)


def test_the_docs_hold_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| `?(.*?)`? \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(one.code, one.sentence, one.remedy, override_of(one.code)) for one in REFUSALS]


def test_rejects_say_how_a_file_can_be_let_in(tmp_path: Path) -> None:
    seen = [Reject("a", "magnification", "x"), Reject("b", "truncated", "x"), Reject("c", "view_missing", "x")]
    write_rejects([*seen, Reject("d", "of_a_later_version", "x")], tmp_path / "rejects.csv")
    table = pd.read_csv(tmp_path / "rejects.csv", keep_default_na=False)
    assert list(table.columns) == ["path", "code", "reason", "remedy", "override"]
    assert table["override"].tolist() == ["--accept magnification", "none", "view in labels.csv", ""]


@given(st.lists(st.sampled_from(ACCEPTABLE)), st.sampled_from([" ", ", ", ";"]))
def test_a_cell_of_codes_has_one_form(codes: list[str], between: str) -> None:
    cell = accepted_cell(between.join(codes))
    assert set(cell.split()) == set(codes)
    assert accepted_cell(cell) == cell


@pytest.mark.parametrize("code", [one.code for one in REFUSALS if one.code not in ACCEPTABLE])
def test_a_fact_cannot_be_accepted(code: str) -> None:
    with pytest.raises(MammoError, match=f"^--accept: {code} cannot be accepted: ") as told:
        checked_codes([code], "--accept")
    override = BY_CODE[code].override
    assert told.value.code == "code_not_acceptable"
    assert told.value.remedy == (f"To be done: {BY_CODE[code].remedy}" if override == NONE else f"Give {override}")


def test_a_code_that_there_is_not_is_told() -> None:
    with pytest.raises(MammoError, match="no refusal has the code 'magnificatoin'") as told:
        checked_codes([" implant ", "magnificatoin"], "--accept")
    assert (told.value.code, told.value.remedy) == ("code_unknown", "Did you mean magnification?")


def test_a_collection_names_no_override_that_it_does_not_take() -> None:
    codes = ("implant", "for_processing", "not_preferred", "view_missing", "breast_not_found", "truncated")
    assert [override_of(code, options_of("folder")) for code in codes] == [
        "--accept implant", "--for-processing", "--keep-all", "view in labels.csv", "another preset", "none",
    ]  # fmt: skip
    assert [override_of(code, options_of("cmmd")) for code in codes] == [
        "--accept implant", "none", "none", "none", "another preset", "none",
    ]  # fmt: skip
    assert [override_of(code, options_of("mini-mias")) for code in codes[:4]] == ["none"] * 4
