"""Names that differ in what a spreadsheet changes are one name."""

from __future__ import annotations

import pytest

from mammo_tf.study.spelling import one_spelling, spelled_alike


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["P 1", "p1 ", "P1"], True), (["7", "007", "7.0"], True), (["a", "b"], False), (["10", "1"], False),
        (["P1", "P1.0"], False), (["1.5", "1"], False), (["Mu\u0308ller", "M\u00fcller"], True),
        (["p1", "p1\u200b", "\ufeffp1", "p\u00ad1", "\u202ap1\u202c", "p\uff11"], True),
        (["p-1", "p\u20111", "p\u20131"], True), (["Muller", "M\u00fcller"], False), (["p-1", "p1"], False),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_changes_makes_no_other_name(names: list[str], alike: bool) -> None:
    assert (len(set(spelled_alike(names))) == 1) == alike


def test_the_first_spelling_stands_for_all() -> None:
    assert one_spelling(["P1", "q", "p 1", "Q ", "01", "1.0"]) == ["P1", "q", "P1", "q", "01", "01"]
