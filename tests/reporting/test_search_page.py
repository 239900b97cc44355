"""The page of a search: every number is that of `result.json`, nothing comes from outside, it fits a narrow window."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reporting.importance import importance_figure
from mammo_tf.reporting.parallel import parallel_figure
from mammo_tf.reporting.search import render_search, write_search_page

sys.path.insert(0, str(Path(__file__).parents[1]))
from parsed_page import (  # noqa: E402 - it lies above this file
    Page,
    check_colours,
    check_nothing_comes_from_outside,
    check_references,
    shown_by_browser,
)

EVIL = "stages.<b>one</b>.rate & $x$"


def trial(name: str, score: float | None, rank: int, rate: float, kind: str | None, why: str = "") -> dict[str, Any]:
    labels: dict[str, Any] = {EVIL: rate} | ({} if kind is None else {"task.loss": kind})
    places = {EVIL: rate, "AUC": (score or 0.0)} | ({} if kind is None else {"task.loss": float(kind == "dice")})
    return {
        "name": name, "score": score, "rank": rank, "labels": labels, "places": places, "after": "", "epochs": 3,
        "seconds": 61.0, "why": why,
    }  # fmt: skip


CONTENT: dict[str, Any] = {
    "title": "Search over little",
    "answer": "Trial 1, the best of 3, has a validation AUC of 0.812; 0.041 of that is selection.",
    "more": "On patients who did not choose it, a trial so chosen has AUC 0.771 (0.600 to 0.900).",
    "notes": ["38 validation patients choose with much noise"],
    "synthetic": True,
    "objective": {"name": "val_auc", "title": "AUC", "rows": "of all scored pictures"},
    "method": "Bayesian search",
    "adaptive": True,
    "best": "1",
    "selection": {
        "best": 0.812, "number": 0, "corrected": 0.771, "low": 0.6, "high": 0.9, "selection": 0.041,
        "by_chance": 0.05, "above_mean": 0.03, "again": 0.44, "trials": 3, "patients": 38, "replicates": 1000,
        "how": "chosen anew on each of 1000 resamples",
    },
    "selection_why": "",
    "importance": {
        "fields": [{"field": EVIL, "value": 0.5, "low": 0.4, "high": 0.6}], "predicted": 0.3, "trials": 12,
        "note": "12 trials say little", "how": "5 folds",
    },
    "space": [{"name": EVIL, "words": "0 to 1"}, {"name": "task.loss", "words": "one of dice, other"}],
    "axes": [
        {"name": EVIL, "ticks": [[0.0, "0"], [1.0, "1"]]},
        {"name": "task.loss", "ticks": [[0.0, "other"], [1.0, "dice"]]},
        {"name": "AUC", "ticks": [[0.0, "0.000"], [1.0, "1.000"]]},
    ],
    "trials": [
        trial("1", 0.812, 0, 0.3, "dice"), trial("0", 0.7, 1, 0.9, None), trial("3", 0.6, 2, 0.1, "other"),
        trial("2", None, 3, 0.5, "dice", "the loss is not finite"),
    ],
    "facts": {"method": "Bayesian search, seed 0"},
}  # fmt: skip


def test_every_number_is_that_of_the_result() -> None:
    text = render_search(copy.deepcopy(CONTENT))
    page = Page(text)
    for value, written in page.data:
        assert float(written) == pytest.approx(100 * value if value in (0.44, 0.3) else value, abs=0.0005)
    shown = {value for value, _ in page.data}
    assert {0.812, 0.7, 0.6, 0.771, 0.041, 0.05, 0.03, 0.44} <= shown
    words = " ".join(page.text)
    for said in (
        CONTENT["answer"], "Bayesian search chose later trials by earlier scores", "failed", "the loss is not finite",
        "The pictures are synthetic", "12 trials say little", "44", "61 s",
    ):  # fmt: skip
        assert said in words, said
    assert "<b>one" not in text
    check_nothing_comes_from_outside(text)
    check_references(text)
    check_colours(text)


def test_what_is_not_known_is_said() -> None:
    content = copy.deepcopy(CONTENT) | {"selection": None, "selection_why": "2 validation patients are too few"}
    content["importance"] |= {"fields": [], "predicted": None, "note": "2 trials are too few"}
    content["trials"] = content["trials"][:1]
    text = render_search(content)
    assert "It is not known: 2 validation patients are too few." in text
    assert "2 trials are too few." in text
    assert "<svg" not in text
    del content["best"]
    with pytest.raises(MammoError, match="lacks something"):
        render_search(content)
    for draw, nothing in ((parallel_figure, ((), (), "")), (importance_figure, ((),))):
        with pytest.raises(MammoError) as caught:
            draw(*nothing)
        assert caught.value.code == "nothing_to_draw"


@pytest.mark.long
def test_the_page_fits_a_narrow_window(tmp_path: Path) -> None:
    shown_by_browser(render_search(copy.deepcopy(CONTENT)), tmp_path)


def test_the_same_search_is_the_same_page(tmp_path: Path) -> None:
    for name in "ab":
        write_search_page(copy.deepcopy(CONTENT), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
