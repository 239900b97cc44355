"""A file of predictions and the network that is said to have made it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.serving.score_source import check_source, write_source
from mammo_tf.training import ModelCard

CARD = ModelCard(weights="abc", identity="abcd")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    path.write_text("image_id,score\na,0.5\n")
    write_source(path, CARD)
    return path


def test_the_same_network_passes(predictions: Path) -> None:
    assert check_source([predictions], "model", CARD) == ()


@pytest.mark.parametrize(
    ("differs", "word"),
    [
        ({"weights": "abd"}, "other weights"),
        ({"flips": True}, "without flips"),
        ({"identity": "def"}, "with other preprocessing"),
    ],
)
def test_another_one_is_refused(predictions: Path, differs: dict[str, Any], word: str) -> None:
    with pytest.raises(MammoError, match=word) as raised:
        check_source([predictions], "model", replace(CARD, **differs))
    assert raised.value.code == "network_differs"


@pytest.mark.parametrize("what", ["changed", "alone", "old bundle", "not an object"])
def test_where_nothing_is_known_a_line_says_so(predictions: Path, what: str) -> None:
    beside, card = predictions.with_suffix(".json"), replace(CARD, weights="other")
    if what == "changed":
        predictions.write_text("image_id,score\na,0.7\n")
    elif what == "alone":
        beside.unlink()
    elif what == "old bundle":
        card = ModelCard()
    else:
        beside.write_text("[1]")
    (note,) = check_source([predictions], "model", card)
    assert "nothing tells whether model made" in note
