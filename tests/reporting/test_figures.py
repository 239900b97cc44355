"""Figures say what they are given, and the files of `evaluate` are there, the same each time."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, Resampling, compute_metrics, read_predictions, write_predictions
from mammo_tf.evaluation.froc import count_clusters, froc_row
from mammo_tf.reporting import Report, Scores, forest_figure, histogram_figure, roc_figure, write_figures
from mammo_tf.reporting.froc import froc_figure
from mammo_tf.reporting.palette import inline_svg, svg_text
from mammo_tf.reporting.scores import scores_at


def model(name: str = "M", labels: tuple[int, ...] = (0, 0, 1, 1), threshold: float | None = 0.5) -> Scores:
    numbers = {"auc": {"value": 0.75, "low": 0.5, "high": 0.9, "n": len(labels), "how": ""}}
    if threshold is not None:
        numbers["threshold"] = {"value": threshold, "low": None, "high": None, "n": 4, "how": ""}
        for rate in ("sensitivity", "specificity"):
            numbers[rate] = {"value": 0.5, "low": 0.1, "high": 0.9, "n": 4, "how": ""}
    scores = np.linspace(0.1, 0.9, len(labels))
    return Scores(name, np.array(labels, np.int64), scores, np.array([str(n) for n in range(len(labels))]), numbers)


def test_roc_tells_auc_and_operating_point() -> None:
    text = svg_text(roc_figure([model("First"), model("Second")]))
    assert "First" in text
    assert "0.750 (0.500–0.900)" in text
    assert "<title>Second: sensitivity 0.500, specificity 0.500 at the fixed threshold</title>" in text
    assert len(re.findall(r"<title>First: sensitivity", text)) == 22


def test_roc_of_one_class_says_so() -> None:
    assert "one class only, no curve" in svg_text(roc_figure([model(labels=(0, 0, 0))]))


@pytest.mark.parametrize("threshold", [0.5, None, 3.0])
def test_histogram_shows_shares_and_threshold(threshold: float | None) -> None:
    text = svg_text(histogram_figure(model(threshold=threshold)))
    assert ("threshold" in text) == (threshold is not None)
    assert "<title>50% of the positive score" in text
    assert "negative, 2" in text


@pytest.mark.parametrize("scores", [(0.5, 0.5, 0.5, 0.5), (-3.0, 2.0, 800.0, 4.0)])
def test_histogram_of_any_scale(scores: tuple[float, ...]) -> None:
    base = model()
    text = svg_text(histogram_figure(Scores("M", base.labels, np.array(scores), base.patients, {})))
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "negative, 2" in text and "nan" not in text.lower()


def test_the_free_response_curve_is_drawn_of_the_counts_in_the_predictions(tmp_path: Path) -> None:
    """Two images: a cluster found up to 0.6, and at 0.2 a false one; the table is read back as text."""
    probability = np.zeros((2, 20, 20), np.float32)
    probability[0, 2:6, 2:6], probability[1, 2:6, 2:6] = 0.6, 0.2
    truth = np.zeros((2, 20, 20), bool)
    truth[0, 2:6, 2:6] = True
    counts = [count_clusters(*pair) for pair in zip(probability, truth, strict=True)]
    rows = [froc_row(one) | {"clusters": one.clusters} for one in counts]
    same = {"patient_id": ["a", "b"], "image_id": ["a", "b"], "label": [1, 0], "score": [0.6, 0.2]}
    write_predictions(pd.DataFrame(rows).assign(**same), tmp_path / "predictions.csv")
    table = read_predictions(tmp_path / "predictions.csv")
    metrics = compute_metrics(table, resampling=Resampling(20))
    number = {"value": 1.0, "low": 0.25, "high": 1.0, "n": 1, "how": ""}
    metrics["test"]["image"]["sensitivity_at_0.5_false_clusters"] = number
    image = scores_at("M", table, metrics, "test", "image")
    assert image is not None
    text = svg_text(froc_figure(image))
    assert "<title>threshold 0.60: sensitivity 1.00, 0.00 false clusters an image</title>" in text
    assert "<title>threshold 0.20: sensitivity 1.00, 0.50 false clusters an image</title>" in text
    assert "1 true clusters, 2 images" in text
    assert "95 % interval" in text
    assert froc_figure(model()) is None, "nothing was counted"
    written = write_figures(table, metrics, tmp_path)
    assert {path.stem for path in written if "froc" in path.stem} == {"froc_test_image"}


def test_forest_shows_what_does_not_exist_as_none() -> None:
    differences = [
        {"value": 0.0721, "low": 0.021, "high": 0.118},
        {"value": None, "why": "one class"},
        {"value": -0.01},
    ]
    text = svg_text(forest_figure(["after", "nothing", "no interval"], differences))
    assert "<title>after: +0.072 (+0.021 to +0.118)</title>" in text
    assert ">none<" in text
    assert "<title>no interval: −0.010</title>" in text


def test_nothing_to_draw_is_refused() -> None:
    for draw in (lambda: roc_figure([]), lambda: forest_figure([], []), lambda: histogram_figure(model(labels=()))):
        with pytest.raises(MammoError) as caught:
            draw()
        assert caught.value.code == "nothing_to_draw"


def test_inline_keeps_hostile_names_words() -> None:
    hostile = "\"><script>alert('x')</script>"
    text = inline_svg(roc_figure([model(hostile)]), "roc", hostile)
    assert "<script" not in text
    root = ElementTree.fromstring(re.sub(r' xlink:href="', ' href="', str(text)))
    assert root.attrib["aria-label"] == hostile
    assert any(hostile in (title.text or "") for title in root.iter("title"))


def test_files_of_an_evaluation(run: Report, tmp_path: Path) -> None:
    table = read_predictions(run.entries[0].predictions)
    table = table[table["split"] == "test"]
    metrics = Metrics({"test": {"image": compute_metrics(table, resampling=Resampling(20))["test"]["image"]}})
    written = write_figures(table, metrics, tmp_path / "one")
    assert sorted(path.name for path in written) == [
        "histogram_test_image.png", "histogram_test_image.svg", "roc_test_image.png", "roc_test_image.svg",
    ]  # fmt: skip
    again = write_figures(table, metrics, tmp_path / "two")
    for first, second in zip(written, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    for path in written:
        if path.suffix == ".svg":
            ElementTree.parse(path)
            assert "date" not in path.read_text(encoding="utf-8").casefold()


def test_one_class_leaves_no_curve(run: Report, tmp_path: Path) -> None:
    table = read_predictions(run.entries[0].predictions)
    table = table[(table["split"] == "test") & (table["label"] == 0)]
    metrics = Metrics({"test": {"image": compute_metrics(table, resampling=Resampling(20))["test"]["image"]}})
    assert {path.stem for path in write_figures(table, metrics, tmp_path)} == {"histogram_test_image"}


def test_names_with_dollars_are_no_formulae():
    """Two dollars in a name make Matplotlib read a formula, and fail where it is none."""
    number = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 10, "how": ""}
    text = svg_text(forest_figure(["$a_$ minus $b^$"], [number]))
    assert "$a_$ minus $b^$" in text
