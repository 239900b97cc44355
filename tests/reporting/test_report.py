"""The report holds together: every number from the files, nothing from outside, nothing hostile let through."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, compute_metrics, read_predictions, write_predictions
from mammo_tf.files import write_json
from mammo_tf.reporting import Comparison, Entry, Report, render_report, write_report

sys.path.insert(0, str(Path(__file__).parents[1]))
from parsed_page import (  # noqa: E402 - it lies above this file
    Page,
    check_colours,
    check_nothing_comes_from_outside,
    check_references,
    shown_by_browser,
)


@pytest.fixture(scope="module")
def text(run: Report) -> str:
    return render_report(run)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_nothing_comes_from_outside(text: str) -> None:
    check_nothing_comes_from_outside(text)


def test_ids_are_unique_and_every_reference_finds_one(text: str) -> None:
    check_references(text)


def test_every_number_of_the_tables_stands_in_the_files(run: Report, page: Page) -> None:
    shown = page.values()
    expected: list[float] = []
    for entry in run.entries:
        levels = json.loads(entry.metrics.read_text())["test"]
        assert set(levels) == {"image", "breast", "exam", "patient"}
        for numbers in levels.values():
            expected += [number["value"] for number in numbers.values() if number["value"] is not None]
    for numbers in json.loads((run.root / "comparison.json").read_text())["test"].values():
        for number in numbers.values():
            expected += [number["value"], number["p"]]
    for value in expected:
        assert value in shown
    for example in run.examples:
        assert example.score is None or example.score in shown
    subgroup_cells = 2 * (4 + 3 + 2)
    assert len(shown) == len(expected) + 1 + subgroup_cells


def test_interval_and_answer_are_those_of_the_files(run: Report, page: Page) -> None:
    words = " ".join("".join(page.text).split())
    for entry in run.entries:
        for numbers in json.loads(entry.metrics.read_text())["test"].values():
            for name in ("auc", "sensitivity", "specificity", "accuracy"):
                assert f"{numbers[name]['low']:.3f}–{numbers[name]['high']:.3f}" in words
            for name in ("ppv", "f1", "sensitivity_at_95_specificity", "brier"):
                if numbers[name]["low"] is not None:
                    assert f"{numbers[name]['low']:.3f} to {numbers[name]['high']:.3f}" in words
    for level, numbers in json.loads((run.root / "comparison.json").read_text())["test"].items():
        low, value, high = (numbers["auc_difference"][name] for name in ("low", "value", "high"))
        assert low > 0, "the fixture is made so"
        assert f"the AUC per {level} changes by +{value:.3f} (95 % interval +{low:.3f} to +{high:.3f}" in words
    assert "The interval lies above zero." in words


def test_every_table_and_figure_names_its_files_and_is_described(page: Page, text: str) -> None:
    for name in ("run0/predictions.csv", "run1/metrics.json", "comparison.json", "log.csv", "picture.png", "map.npy"):
        assert f"<code>{name}</code>" in text
    plots = [
        attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") in ("plot", "example")
    ]
    assert len(plots) > 10
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in plots)
    scopes = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(scopes) == {"row", "col"}


def test_no_patient_and_no_machine_is_named(run: Report, text: str) -> None:
    assert str(run.root) not in text
    assert not re.search(r"\bp\d+\b(?! \{)", " ".join(Page(text).text).split("@media")[0])


def test_colours_follow_the_theme(text: str) -> None:
    check_colours(text)


def test_same_input_same_bytes(of_images: Report, text: str, tmp_path: Path) -> None:
    write_report(of_images, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_report(of_images)
    assert len(text.encode()) < 6_000_000


HOSTILE = '<script>alert("x")</script>"onload="y\' & {{ 7*7 }}'


def test_hostile_names_stay_words(write_run: Callable[..., Report], tmp_path: Path) -> None:
    report = write_run(tmp_path, manufacturer=HOSTILE, name=HOSTILE)
    report = dataclasses.replace(report, lead=HOSTILE, warnings=(HOSTILE,), facts={HOSTILE: HOSTILE})
    text = render_report(report)
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in "".join(page.text)
    assert "49" not in "".join(re.findall(r"alert.{0,40}49", "".join(page.text)))


def test_a_report_of_nothing_is_still_a_page() -> None:
    page = Page(render_report(Report("Nothing", "No run yet.")))
    words = "".join(page.text)
    assert "No run yet." in words
    assert "Examples" not in words
    assert [tag for tag, _ in page.tags].count("table") == 0


@pytest.mark.parametrize("parts", [("entries",), ("comparisons", "curves", "examples", "facts", "warnings")])
def test_parts_may_be_missing(of_images: Report, parts: tuple[str, ...]) -> None:
    less = dataclasses.replace(of_images, **{part: {} if part == "facts" else () for part in parts})
    found, whole = (Page(render_report(report)) for report in (less, of_images))
    assert len("".join(found.text)) < len("".join(whole.text))
    assert of_images.title in "".join(found.text)


def test_one_class_says_why(predictions: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    table = predictions(1.0).assign(label=0)
    write_predictions(table, tmp_path / "predictions.csv")
    metrics = compute_metrics(read_predictions(tmp_path / "predictions.csv"), resampling=Resampling(20))
    write_json(tmp_path / "metrics.json", metrics.to_json())
    comparison = {
        "test": {
            "image": {
                "auc_difference": {"value": None, "low": None, "high": None, "n": 9, "how": "", "why": "all negative"}
            }
        }
    }
    write_json(tmp_path / "comparison.json", comparison)
    entry = Entry("Healthy", tmp_path / "predictions.csv", tmp_path / "metrics.json")
    page = Page(
        render_report(Report("t", "l", (entry,), (Comparison("Pair", tmp_path / "comparison.json"),), root=tmp_path))
    )
    words = " ".join("".join(page.text).split())
    assert "cases are negative" in words
    assert "no threshold" in words
    assert "all negative" in words
    of_one_class = [metrics["test"][level][name]["value"] for level in metrics["test"] for name in ("brier", "ece")]
    assert page.values() == of_one_class, "these need one class only"


def test_a_level_that_is_not_there_is_left_out(predictions: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    table = predictions(1.0).assign(laterality="")
    write_predictions(table, tmp_path / "predictions.csv")
    write_json(
        tmp_path / "metrics.json",
        compute_metrics(read_predictions(tmp_path / "predictions.csv"), resampling=Resampling(20)).to_json(),
    )
    text = render_report(Report("t", "l", (Entry("M", tmp_path / "predictions.csv", tmp_path / "metrics.json"),)))
    shown = {attributes.get("data-level") for _, attributes in Page(text).tags}
    assert shown == {None, "image", "exam", "patient"}
    assert "Each model by itself" not in text, "one model has its scores beside its curve"
    assert text.index("roc-image") < text.index("histogram-image") < text.index('id="limits"')
    assert 'data-name="Sensitivity"' in text


def test_numbers_of_other_predictions_are_pointed_out(of_images: Report, tmp_path: Path) -> None:
    table = read_predictions(of_images.entries[0].predictions)
    write_predictions(table.assign(score=1 - table["score"]), tmp_path / "other.csv")
    entry = dataclasses.replace(of_images.entries[0], predictions=tmp_path / "other.csv")
    words = "".join(Page(render_report(Report("t", "l", (entry,)))).text)
    assert "Evaluate again before believing either" in words


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"split": "holdout"}, "split_missing"),
        ({"predictions": Path("nowhere.csv")}, "file_missing"),
        ({"metrics": Path("nowhere.json")}, "file_missing"),
    ],
)
def test_wrong_entries_are_refused_in_one_line(run: Report, change: dict[str, object], code: str) -> None:
    entry = dataclasses.replace(run.entries[0], **change)  # type: ignore[arg-type]
    with pytest.raises(MammoError) as caught:
        render_report(dataclasses.replace(run, entries=(entry,)))
    assert caught.value.code == code
    with pytest.raises(MammoError) as doubled:
        render_report(dataclasses.replace(run, entries=(run.entries[0],) * 2))
    assert doubled.value.code == "name_doubled"


@pytest.mark.long
def test_many_large_pictures_stay_under_the_limit(run: Report, tmp_path: Path) -> None:
    import cv2

    generator = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "noise.png"), (generator.random((1152, 896)) * 65535).astype(np.uint16))
    example = dataclasses.replace(run.examples[0], picture=tmp_path / "noise.png")
    write_report(Report("t", "l", examples=(example,) * 12), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


def test_a_browser_shows_it_without_scrolling_sideways(text: str, tmp_path: Path) -> None:
    assert 'data-shown="image"' in shown_by_browser(text, tmp_path)


def test_several_comparisons_have_q_beside_p_and_in_a_file(run: Report, tmp_path: Path) -> None:
    stored = json.loads((run.root / "comparison.json").read_text())
    for levels in stored["test"].values():
        levels["auc_difference"]["p"] = 0.04
    write_json(tmp_path / "second.json", stored)
    two = (run.comparisons[0], Comparison("Another pair", tmp_path / "second.json"))
    run = dataclasses.replace(run, entries=(), curves=(), examples=())
    report = dataclasses.replace(run, comparisons=two)
    write_report(report, tmp_path / "report.html")
    adjusted = json.loads((tmp_path / "report_comparisons.json").read_text())
    assert [one["comparison"] for one in adjusted] == [one.name for one in two]
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    shown, words = page.values(), "".join(page.text)
    for levels in (one["levels"] for one in adjusted):
        assert set(levels) == {"image", "breast", "exam", "patient"}
        for numbers in levels.values():
            assert numbers["auc_difference"]["q"] >= numbers["auc_difference"]["p"]
            assert numbers["auc_difference"]["q"] in shown
    assert adjusted[1]["levels"]["image"]["auc_difference"] == {"p": 0.04, "q": 0.04}
    assert "report_comparisons.json" in words
    assert "q is p adjusted for the 2 comparisons" in words
    write_report(run, tmp_path / "report.html")
    assert not (tmp_path / "report_comparisons.json").exists(), "one comparison needs no adjustment"
    assert "Benjamini" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_further_measures_are_those_of_the_file_and_quieter(run: Report, text: str) -> None:
    numbers = json.loads(run.entries[0].metrics.read_text())["test"]["image"]
    table = text[text.index('<table class="quiet"') :]
    table = table[: table.index("</table>")]
    for title in ("PPV", "Matthews&#39; coefficient", "Sensitivity at 90 % specificity", "Calibration slope"):
        assert f'<th scope="row">{title}</th>' in table
    assert table.count("<tr>") == 1 + len(set(numbers) - {"auc", "threshold", "sensitivity", "specificity", "accuracy"})


def test_a_level_of_the_file_has_its_button(predictions: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    write_predictions(predictions(1.0), tmp_path / "predictions.csv")
    table = read_predictions(tmp_path / "predictions.csv")
    metrics = compute_metrics(table, aggregates={"exam": "mean"}, resampling=Resampling(20))
    found = metrics.to_json()
    found["test"] = {level: found["test"][level] for level in ("image", "exam")}
    write_json(tmp_path / "metrics.json", found)
    text = render_report(Report("t", "l", (Entry("M", tmp_path / "predictions.csv", tmp_path / "metrics.json"),)))
    assert 'data-show="exam"' in text
    assert ':root[data-shown="exam"] [data-level]:not([data-level="exam"])' in text
    assert "Evaluate again before believing either" not in text
