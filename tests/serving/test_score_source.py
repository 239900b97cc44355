"""A file of predictions and the network that is said to have made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.serving.score_source import check_source, write_source


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    path.write_text("image_id,score\na,0.5\n")
    write_source(path, "abc", flips=False)
    return path


def test_the_same_network_passes(predictions: Path) -> None:
    assert check_source([predictions], "model", "abc", flips=False) == ()


@pytest.mark.parametrize(
    ("weights", "flips", "word"), [("abd", False, "other weights"), ("abc", True, "without flips")]
)
def test_another_one_is_refused(predictions: Path, weights: str, flips: bool, word: str) -> None:
    with pytest.raises(MammoError, match=word) as raised:
        check_source([predictions], "model", weights, flips)
    assert raised.value.code == "network_differs"


@pytest.mark.parametrize("what", ["changed", "alone", "old bundle", "not an object"])
def test_where_nothing_is_known_a_line_says_so(predictions: Path, what: str) -> None:
    beside, weights = predictions.with_suffix(".json"), "other"
    if what == "changed":
        predictions.write_text("image_id,score\na,0.7\n")
    elif what == "alone":
        beside.unlink()
    elif what == "old bundle":
        weights = ""
    else:
        beside.write_text("[1]")
    (note,) = check_source([predictions], "model", weights, flips=False)
    assert "nothing tells whether model made" in note
