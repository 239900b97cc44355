"""The room's door: what it hands on, and that it loads nothing by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mammo_tf.reporting as room


def test_every_name_is_that_of_its_module() -> None:
    names = [name for name in dir(room) if not name.startswith("_")]
    assert {"write_report", "roc_figure", "Scores", "write_sheet"} <= set(names)
    for name in room._MODULE_OF:
        assert name in names
        assert getattr(room, name).__module__ == f"mammo_tf.reporting.{room._MODULE_OF[name]}"
    with pytest.raises(AttributeError, match="no attribute 'figure'"):
        room.figure  # noqa: B018


def test_the_door_is_light() -> None:
    code = (
        "import sys, mammo_tf.reporting, mammo_tf.reporting.palette, mammo_tf.reporting.figures, mammo_tf.evaluation\n"
        "assert not {'matplotlib', 'jinja2', 'scipy.stats'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
