"""Loss curves: stages, rates, and logs that lack something."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reporting import loss_figure, read_log
from mammo_tf.reporting.palette import svg_text

FULL = """stage,epoch,loss,auc,val_loss,val_auc,rate,seconds
head,1,0.9,0.5,0.95,0.52,0.001,1
head,2,0.7,0.6,0.8,0.61,0.0002,1
all,1,0.6,0.7,0.7,0.66,1e-05,1
"""


def figure_text(tmp_path: Path, log: str) -> str:
    (tmp_path / "log.csv").write_text(log, encoding="utf-8")
    return svg_text(loss_figure(read_log(tmp_path / "log.csv")))


def test_stages_and_rate_changes_are_marked(tmp_path: Path) -> None:
    text = figure_text(tmp_path, FULL)
    assert "<title>head: 2 epochs</title>" in text
    assert "<title>all: 1 epochs</title>" in text
    for change in (
        "head, from epoch 1: rate 0.001",
        "head, from epoch 2: rate 0.0002",
        "all, from epoch 3: rate 1e-05",
    ):
        assert f"<title>{change}</title>" in text
    assert "<title>all, epoch 3: validation loss 0.7</title>" in text


def test_names_that_do_not_fit_are_numbered(tmp_path: Path) -> None:
    text = figure_text(tmp_path, FULL.replace("head", "the whole head and nothing else of the network"))
    assert "1  the whole head and nothing else of the network" in text.replace("&#160;", " ")


def test_a_stage_without_auc_shows_accuracy(tmp_path: Path) -> None:
    log = "stage,epoch,loss,accuracy,val_auc,rate\npatches,1,0.9,0.4,,0.1\nwhole,1,0.8,0.5,0.6,0.1\n"
    text = figure_text(tmp_path, log)
    assert "AUC / Accuracy" in text
    assert "<title>patches, epoch 1: training accuracy 0.4</title>" in text
    assert "<title>whole, epoch 2: validation auc 0.6</title>" in text


@pytest.mark.parametrize(
    "log", ["loss\n0.5\n", "epoch,loss,val_loss\n1,0.5,\n2,0.4,0.6\n", "loss,rate\n0.5,\nnan,0.1\n"]
)
def test_a_poor_log_is_still_drawn(tmp_path: Path, log: str) -> None:
    assert "Loss" in figure_text(tmp_path, log)


@pytest.mark.parametrize(
    ("log", "code"), [("a,b\n1,2\n", "column_missing"), ("loss\n", "log_empty"), ("", "csv_broken")]
)
def test_no_log_is_told(tmp_path: Path, log: str, code: str) -> None:
    with pytest.raises(MammoError) as caught:
        figure_text(tmp_path, log)
    assert caught.value.code == code
    with pytest.raises(MammoError, match="not there"):
        read_log(tmp_path / "none.csv")
