"""Rejects of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.study import Reject


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("/archive/a.dcm: it ends", "it ends"),
        ("/archive/a.dcm is not there", "is not there"),
        ("ValueError: /archive/a.dcm is odd", "ValueError: is odd"),
        ("the mask /archive/b.png is empty", "the mask /archive/b.png is empty"),
    ],
)
def test_the_path_is_left_out_of_the_reason(sentence: str, reason: str) -> None:
    error = MammoError("odd", sentence, "Fix it")
    reject = Reject.of("a.dcm", error, Path("/archive/a.dcm"))
    assert reject == ("a.dcm", "odd", reason, "Fix it")
    assert reject.sentence == f"a.dcm: {reason}. Fix it"
    assert Reject.of("a.dcm", error).reason == sentence
