"""The page of a ladder: every number of `ladder.json`, nothing from outside, nothing hostile, nothing half-written."""

from __future__ import annotations

import copy
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import REPORT, REPORT_DIFFERENCE, ends_text
from mammo_tf.reporting.ladder import duration, render_ladder, sentence, write_ladder_page

sys.path.insert(0, str(Path(__file__).parents[1]))
from ladder_example import make_ladder, missing  # noqa: E402 - it lies above this file
from parsed_page import (  # noqa: E402 - it lies above this file
    Page,
    check_colours,
    check_nothing_comes_from_outside,
    check_references,
    shown_by_browser,
)

HOSTILE = '<script>alert("x")</script>"onload="y\' & {{ 7*7 }} $a_$ '
NOT_SHOWN = {"format", "p_least", "worse", "same_model", "synthetic"}
CODES = {"name", "column", "rung", "best", "below", "level", "measure", "needs", "revision"}  # no words for readers


def leaves(part: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a ladder that holds no other, with its key; numbers with an interval as a whole."""
    if isinstance(part, dict) and "low" in part:
        yield "number", part
        part = {name: value for name, value in part.items() if name not in ("low", "high")}
    if isinstance(part, dict):
        for name, value in part.items():
            yield from leaves(value, name)
    elif isinstance(part, list):
        for value in part:
            yield from leaves(value, key)
    else:
        yield key, part


def changed(part: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """A ladder with every leaf replaced."""
    if isinstance(part, dict):
        return {name: changed(value, change, name) for name, value in part.items()}
    if isinstance(part, list):
        return [changed(value, change, key) for value in part]
    return change(key, part)


def few_rungs(**parts: bool) -> dict[str, Any]:
    """A ladder of five rungs, which is drawn sooner."""
    kept = ("untouched", "scores_matched", "harmonised", "batch_statistics", "everything_harmonised")
    ladder = make_ladder(**parts)
    ladder["rungs"] = [rung for rung in ladder["rungs"] if rung["name"] in kept]
    for rung in ladder["rungs"]:
        rung.get("test", {}).update(below="", against_below=None)
    return ladder


def words(text: str) -> str:
    return " ".join("".join(Page(text).text).split())


@pytest.fixture(scope="module")
def text() -> str:
    return render_ladder(make_ladder())


def test_every_number_of_the_ladder_stands_on_the_page(text: str) -> None:
    page, said = Page(text), words(text)
    shown, wanted = Counter(value for value, _ in page.data), Counter[float]()
    for key, value in leaves(make_ladder()):
        if key == "number":
            assert any(ends_text(value, form) in said for form in (REPORT, REPORT_DIFFERENCE)), value
        elif key == "n":
            assert f"{value}" in said[said.index("How these numbers were made") :]
        elif isinstance(value, int | float) and not isinstance(value, bool) and key not in NOT_SHOWN:
            wanted[value] += key in ("value", "p", "q", "draws")
            assert value in shown or (key.endswith("labelled_patients") and value == 0), (key, value)
    assert wanted.total() > 250
    assert not wanted - shown, "each as often as it stands in the file"
    digits = [(value, text) for value, text in page.data if re.fullmatch(r"[+−]?\d+\.\d+", text)]
    assert all(abs(value - float(text.replace("−", "-"))) < 6e-4 for value, text in digits)
    assert len(digits) > 250


def test_every_word_of_the_ladder_stands_on_the_page(text: str) -> None:
    said = words(text)
    for key, value in leaves(make_ladder()):
        if isinstance(value, str) and key not in CODES:
            assert " ".join(value.split()) in said or sentence(value) in said, (key, value)
    assert "The chosen rung is the cheapest" in said
    assert "Density A gets worse: −0.091" in said
    assert said.count("gets worse") == text.count('<span class="badge">worse</span>') == 1


def test_the_answer_is_first_and_sections_follow_in_order(text: str) -> None:
    said = words(text)
    said = said[said.index("}", said.index("@media print")) :]
    assert "} model baltic at site harbour “Harmonised”, which needs pictures" in said
    assert text.index('class="verdict"') < text.index('class="warnings"')
    places = [text.index(f'<h2 id="{name}">') for name in
              ("rungs", "choice", "points", "old", "subgroups", "labels", "limits", "facts")]  # fmt: skip
    assert places == sorted(places)
    assert text.index("How these numbers were made") > places[-1]


def test_rungs_are_told_apart_by_what_they_need_and_by_the_choice(text: str) -> None:
    table = text[text.index('aria-label="Table of rungs">\n<thead>') :]
    table = table[: table.index("</table>")]
    assert table.count("<tr") == 1 + 14
    assert table.count('<tr class="absent">') == 1
    assert "Does not apply: the network has no batch normalisation" in table
    assert table.count('<tr class="chosen">') == table.count(">chosen</span>") == 1
    assert table.count(">the same scores<") == 3


def test_the_page_stands_alone_and_follows_the_theme(text: str) -> None:
    check_nothing_comes_from_outside(text)
    check_references(text)
    check_colours(text)


def test_tables_and_figures_are_described(text: str) -> None:
    page = Page(text)
    plots = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "plot"]
    assert len(plots) == 5
    assert all(one["role"] == "img" and len(one["aria-label"] or "") > 100 for one in plots)
    assert {one.get("scope") for tag, one in page.tags if tag == "th"} == {"row", "col", "rowgroup", "colgroup"}
    assert all(one.get("aria-label") for tag, one in page.tags if tag == "table")
    regions = [one for _, one in page.tags if one.get("role") == "region"]
    assert all(one.get("tabindex") == "0" and one.get("aria-label") for one in regions)


def test_same_ladder_same_bytes_and_the_ladder_is_left_alone(text: str, tmp_path: Path) -> None:
    ladder = make_ladder()
    before = copy.deepcopy(ladder)
    write_ladder_page(ladder, tmp_path / "new" / "ladder.html")
    assert ladder == before
    assert (tmp_path / "new" / "ladder.html").read_bytes() == text.encode()


def test_hostile_words_stay_words() -> None:
    keys = CODES - {"level", "revision", "column"} | {"predictions"}
    ladder = changed(make_ladder(), lambda key, value: HOSTILE if isinstance(value, str) and key not in keys else value)
    for rung in ladder["rungs"]:
        rung["why_not"] = HOSTILE if rung["name"] == "batch_statistics" else ""
    page = Page(render_ladder(ladder))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "".join(page.text).count(HOSTILE.strip()) > 50
    assert 'alert("x")</script>"onload="y\' & 49' not in "".join(page.text)


def test_numbers_that_do_not_exist_say_why() -> None:
    ladder = make_ladder()
    for rung in ladder["rungs"]:
        if rung["why_not"]:
            continue
        rung["chosen_on"] = {"measure": missing("nobody is positive"), "against_best": None}
        rung["test"] |= {"measure": missing("one class only"), "at_carried": None}
        if rung["test"]["at_own"] is not None:
            point = dict.fromkeys(("sensitivity", "recall_rate", "distance"))
            rung["test"]["at_own"] |= {**point, "specificity": missing("no negative case")}
        for name in ("against_untouched", "against_below"):
            rung["test"][name] = rung["test"][name] and missing("nothing to compare")
    ladder["rungs"][4]["test"]["at_own"] = None
    ladder["old_site"]["potential"] = None
    ladder["old_site"]["rungs"]["spottune"] |= {"retention": missing("no pictures"), "measure": missing("no pictures")}
    ladder["old_site"]["rungs"]["harmonised"]["retention"] = None
    ladder["label_budget"]["points"][0] |= {"measure": missing("a draw has one class"), "draws": [None, 0.5]}
    for name in ("before", "after", "difference"):
        ladder["subgroups"][1][name] = missing("group too small")
    said = words(render_ladder(ladder | {"threshold": None}))
    for why in ("nobody is positive", "one class only", "no pictures", "a draw has one class", "group too small"):
        assert why in said
    assert "No rung has a threshold at this level" in said
    assert "None" not in said


def test_what_is_held_against_numbers_is_told_once_below_each_table() -> None:
    ladder = make_ladder()
    why = {"caution": "the rarer class has 7 patients", "why": "every resample gives the same"}
    for rung in ladder["rungs"][4:6]:
        rung["test"]["against_untouched"]["caution"] = why["caution"]
        rung["test"]["against_below"] |= why
        rung["test"]["at_own"]["sensitivity"]["caution"] = why["caution"]
    text = render_ladder(ladder)
    tables = text.split("</table>")
    told = [part[part.index('<p class="source reasons">') : part.index("</p>")] for part in tables[1:]
            if part.lstrip("\n </div>").startswith('p class="source reasons">')]  # fmt: skip
    assert [part.count("the rarer class has 7 patients") for part in told] == [2, 1]
    assert tables[0].count('<abbr class="reason"') == 5, "with that of SpotTune"
    assert [tables[0].count(f">{letter}</abbr>") for letter in "abcd"] == [2, 2, 1, 0]
    assert tables[3].count(">a</abbr>") == 2, "letters begin anew with each table"


def test_parts_may_be_missing() -> None:
    ladder = few_rungs(old_site=False, budget=False, intended=False)
    ladder |= {"subgroups": [], "warnings": []}
    del ladder["synthetic"]
    text = render_ladder(ladder)
    said = words(text)
    assert "The old site was not measured." in said
    assert "What sensitivity and specificity were intended is not known" in said
    assert ">Distance<" not in text
    assert "is tolerated" not in said
    assert "No subgroup is told and large enough" in said
    assert "What labels buy" not in said
    assert "synthetic" not in said
    assert 'aria-label="Warnings"' not in text


def test_a_choice_that_leaves_the_scores_says_so() -> None:
    ladder = few_rungs(budget=False)
    ladder["choice"] |= {"rung": "scores_matched", "by_measure": "untouched", "folds": None, "split": "validation"}
    ladder["subgroups"] = []
    said = words(render_ladder(ladder))
    assert "By the measure alone it would be Untouched." in said
    assert "leaves all scores as they were, so no subgroup changes" in said
    assert "The chosen rung leaves the model as it is, at the old site too." in said
    assert "folds of patients" not in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format 2"),
        ({"choice": make_ladder()["choice"] | {"rung": "batch_statistics"}}, "not a rung that applies"),
        ({"rungs": [make_ladder()["rungs"][0] | {"needs": "luck"}]}, "'luck'"),
        ({"rungs": []}, "not a rung that applies"),
        ({"site": {}}, "patients"),
    ],
)
def test_a_broken_ladder_is_refused_and_nothing_is_written(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(MammoError, match=told) as caught:
        write_ladder_page(few_rungs(budget=False) | change, tmp_path / "ladder.html")
    assert caught.value.code == "ladder_broken"
    assert not list(tmp_path.iterdir())


def test_times_and_sentences() -> None:
    assert [duration(seconds) for seconds in (0.2, 99.4, 240, 5400, 6000, 7222.9)] == [
        "0 s", "99 s", "4 min", "90 min", "1.7 h", "2.0 h",
    ]  # fmt: skip
    assert [sentence(text) for text in ("it is", "It is. ", "")] == ["It is.", "It is.", ""]


def test_a_browser_shows_it_without_scrolling_sideways(text: str, tmp_path: Path) -> None:
    assert '<h2 id="facts">' in shown_by_browser(text, tmp_path)


def test_the_rule_of_the_choice_is_said() -> None:
    ladder = make_ladder()
    assert "not shown to be below the best rung" in render_ladder(ladder)
    ladder["choice"]["rule"] = "not_inferior"
    assert "shown not to be below the best rung" in render_ladder(ladder)
