"""Figures of MLN-net's experiment: which pictures are shown, outlines in their place, and what is drawn of what."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.experiments.mln_net.figures import (
    dice_figure,
    overlaid,
    overlay_lines,
    pairs_figure,
    training_figure,
)
from mammo_tf.experiments.mln_net.overlays import chosen_pictures, moved
from mammo_tf.experiments.mln_net.rows import METRICS, ROWS
from mammo_tf.experiments.mln_net.sizes import DBT, FFDM, FILM, SITE_2, SMOKE
from mammo_tf.experiments.mln_net.study import CLUSTERS
from mammo_tf.experiments.mln_net.tables import MORE, write_tables
from mammo_tf.files import write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import open_records, prepare
from mammo_tf.study import Finding, findings_to_json, make_manifest
from mammo_tf.training import Segmentation
from mammo_tf.training.tasks.stored_masks import mask_path, write_stored_mask

TASK = Segmentation(findings=CLUSTERS)
CLUSTER = Finding("amorphous_cluster", "malignant", circle=(30.0, 60.0, 9.0))
MASS = Finding("mass", "malignant", circle=(30.0, 60.0, 9.0))
STORED = (120, 90)


def _row(image: str, patient: str, *findings: Finding, split: str = "test", frame: str = "") -> dict[str, Any]:
    label = "malignant" if findings else "normal"
    return {
        "image_id": image, "patient_id": patient, "label": label, "split": split, "frame": frame,
        "path": f"{image}.png", "findings": findings_to_json(findings), "laterality": "L", "view": "CC",
    }  # fmt: skip


def _numbers(dsc: float | None) -> dict[str, dict[str, float | None]]:
    numbers: dict[str, dict[str, float | None]] = {
        name: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 12} for name in (*METRICS, *MORE)
    }
    ends = (None, None) if dsc is None else (dsc - 0.1, dsc + 0.1)
    return {**numbers, "dsc": {"value": dsc, "low": ends[0], "high": ends[1], "n": 12}}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A seed of an experiment: one picture with a cluster, prepared for two machines; no study, no model."""
    grey = np.random.default_rng(0).normal(20_000, 2_000, STORED)
    grey[:, 70:] = 0
    cv2.circle(grey, (30, 60), 9, 50_000.0, -1)
    cv2.imwrite(str(tmp_path / "b1.png"), np.clip(grey, 0, 65535).astype(np.uint16))
    rows = make_manifest([_row("b1", "b", CLUSTER)])
    seed = tmp_path / "mln" / "seed_1"
    steps = Preprocessing.preset("default", (80, 60), channels=1, mean=0.0)
    for machine in (DBT, FILM):
        prepare(rows, tmp_path, seed / "prepared" / machine, steps, workers=1)
    return seed


def _called(place: Path, row: str, machine: str, mask: np.ndarray) -> None:
    folder = place / FFDM / row / f"on_{machine}"
    write_json(folder / "numbers.json", _numbers(0.5))
    (folder / "masks").mkdir()
    write_stored_mask(mask_path(folder / "masks", "b1"), mask)


def _disc(x: int, y: int, radius: float, size: tuple[int, int] = STORED) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.hypot(rows - y, columns - x) <= radius


def test_pictures_are_chosen_by_their_names_alone() -> None:
    rows = make_manifest([
        _row("z", "0", CLUSTER, split="train"), _row("y", "z", CLUSTER), _row("b2", "b", CLUSTER), _row("a", "a"),
        _row("b1", "b", CLUSTER), _row("c", "c", MASS), _row("d", "d", CLUSTER, frame="10"),
        _row("d", "d", CLUSTER, frame="2"),
    ])  # fmt: skip
    records: Any = SimpleNamespace(rows=rows, positions=lambda split: np.flatnonzero(rows["split"] == split))
    chosen = rows.iloc[chosen_pictures(records, TASK, 5)]
    assert list(zip(chosen["image_id"], chosen["frame"], strict=True)) == [("b1", ""), ("d", "2"), ("y", "")]
    assert chosen_pictures(records, TASK, 1) == [4]


def test_outlines_go_from_corners_to_pixels_of_another_picture() -> None:
    """Pixels twice as large: the corner of the picture stays there, four stored pixels are two."""
    smaller = np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25]])  # centre 0.5 of two stored pixels to centre 0
    assert moved((((0.0, 0.0), (4.0, 2.0)),), smaller) == (((-0.5, -0.5), (1.5, 0.5)),)
    assert moved((), smaller) == ()


def test_calls_lie_where_the_stored_masks_have_them(place: Path) -> None:
    _called(place, "unet", DBT, _disc(30, 60, 9.45))
    _called(place, "mln_net", DBT, np.zeros(STORED, np.bool_))
    _called(place, "sadn", DBT, _disc(5, 5, 2, (30, 30)))
    (line,) = overlay_lines(place, FFDM, ["unet", "sadn", "mln_net", "basenet_s"])
    assert line.title == f"{DBT}\nb1" and line.picture.shape == (80, 60)
    exact, other_size, empty, missing = line.calls.values()
    assert exact is not None and exact.dice > 0.97 and empty is not None and (empty.dice, empty.outlines) == (0, ())
    assert other_size is None and missing is None
    marks = open_records(place / "prepared" / DBT).marks(0)
    (across, _, right), (_, down, below) = marks.affine  # of the prepared picture to the stored one
    for outlined in (line.truth, exact.outlines):
        corners = np.array(outlined[0])
        assert (corners.max(axis=0) + corners.min(axis=0)) / 2 == pytest.approx(
            [(30 - right) / across, (60 - below) / down], abs=0.01
        )
        assert np.ptp(corners, axis=0) == pytest.approx([19 / abs(across), 19 / abs(down)], abs=0.2), (
            "a quarter of a pixel"
        )
    truth = TASK.mask_of(marks)
    left, top, right, bottom = line.window
    assert truth[top:bottom, left:right].sum() == truth.sum()


def test_everything_that_is_there_is_drawn(place: Path) -> None:
    """Machines without records, rows without masks and seeds without a training are left out."""
    folder = place.parent
    _called(place, "mln_net", DBT, _disc(30, 60, 9.45))
    _called(place, "swin_unet", DBT, _disc(70, 20, 5))
    write_json(place / FFDM / "mln_net_r" / f"on_{SITE_2}" / "numbers.json", _numbers(None))
    write_json(place / FFDM / "mln_net" / "metrics.json", {})
    (place / FFDM / "mln_net" / "log.csv").write_text(
        "stage,epoch,loss,val_dice\nsource,1,-0.5,0.25\nsource,2,-1,0.5\n"
    )
    (place / FFDM / "swin_unet").joinpath("log.csv").write_text("stage,epoch,lo")  # stopped while it was written
    write_tables(folder, (1, 2), SMOKE, True)
    found = {path.relative_to(folder / "figures").as_posix() for path in (folder / "figures").rglob("*.*")}
    names = ("dice_ffdm_site_1", "seed_1/training_ffdm_site_1", "seed_1/overlays_ffdm_site_1")
    assert found == {f"{name}.{ending}" for name in names for ending in ("svg", "png")}
    overlays = (folder / "figures" / "seed_1" / "overlays_ffdm_site_1.svg").read_text()
    words = set(re.findall(r">([^<>]+)</text>", overlays))
    assert {"Dice 0 %", "Swin-Unet", "MLN-net", DBT, "b1"} <= words and FILM not in words
    assert words & {f"Dice {dice} %" for dice in (97, 98, 99, 100)}
    training = (folder / "figures" / "seed_1" / "training_ffdm_site_1.svg").read_text()
    assert "MLN-net" in training and "Swin-Unet" not in training


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    write_tables(tmp_path, (1,), SMOKE, False)
    assert not (tmp_path / "figures").exists()


def test_rows_stand_in_the_order_of_the_paper() -> None:
    rows = {
        "unet": {DBT: {"1": _numbers(0.3), "2": _numbers(0.4)}, FFDM: {"2": _numbers(0.7)}},
        "mln_net": {DBT: {"2": _numbers(0.2)}},
        "swin_unet_flipped": {FILM: {"1": _numbers(None)}},
    }
    figure = dice_figure(rows, FFDM, {"unet": 37.32, "mln_net": 78.91, "swin_unet_flipped": None})
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == [DBT, FILM, f"{FFDM}, itself"]
    assert [one.get_text() for one in panels[0].get_yticklabels()] == ["MLN-net", "Unet", "Swin-Unet, flips"]
    lines = panels[0].get_lines()
    dots = {round(float(line.get_xdata()[0]), 6): line for line in lines if line.get_marker() == "o"}
    assert list(dots) == pytest.approx([20.0, 30.0, 40.0])
    assert dots[20.0].get_color() == dots[40.0].get_color() != dots[30.0].get_color(), "a seed keeps its colour"
    intervals = sorted(
        tuple(line.get_xdata()) for line in lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"
    )
    assert np.allclose(intervals, [(10, 30), (20, 40), (30, 50)])
    (paper,) = (line for line in lines if line.get_marker() == "D")
    assert list(zip(paper.get_xdata(), paper.get_ydata(), strict=True)) == [(78.91, 0), (37.32, 1)]
    assert not any(line.get_marker() == "D" for panel in panels[1:] for line in panel.get_lines())


def test_more_pairs_of_curves_go_to_the_right() -> None:
    rows = {
        "mln_net_random_1": {DBT: {"1": _numbers(0.3), "2": _numbers(0.5)}},
        "mln_net_random_3": {DBT: {"1": _numbers(0.6), "2": _numbers(None)}},
        "mln_net": {DBT: {"1": _numbers(0.2)}},
    }
    (panel,) = pairs_figure(rows, FFDM).axes
    means = {line.get_label(): line for line in panel.get_lines() if line.get_marker() == "s"}
    drawn = {name: np.round([line.get_xdata(), line.get_ydata()], 6).tolist() for name, line in means.items()}
    assert drawn == {"Random": [[1, 3], [40, 60]], "Mean": [[], []], "MLN-net, a = 0.3": [[1], [20]]}


def test_curves_of_training_say_what_collapses() -> None:
    logs = {
        "Unet": pd.DataFrame({"loss": [-0.1, -0.4], "val_dice": [0.1, 0.3]}),
        "Swin-Unet": pd.DataFrame({"loss": [-0.5]}),  # no picture of validation counted
    }
    loss, dice = training_figure(logs).axes
    assert [line.get_ydata().tolist() for line in loss.get_lines()] == [[-0.1, -0.4], [-0.5]]
    assert dice.get_lines()[0].get_ydata().tolist() == [0.1, 0.3] and np.isnan(dice.get_lines()[1].get_ydata()).all()
    assert loss.get_lines()[0].get_xdata().tolist() == [1, 2]


def test_rows_that_are_overlaid() -> None:
    assert overlaid(dict.fromkeys(("mln_net", "unet", "resnet"), {})) == ["unet", "mln_net"]
    others = [row.key for row in ROWS if row.trained]
    assert overlaid(dict.fromkeys(others, {})) == others[:5]
