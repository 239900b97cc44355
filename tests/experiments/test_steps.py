"""Steps are told, done once, and timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.experiments.steps import SECONDS, Steps, records_whole, run_ended
from mammo_tf.files import read_json, write_json


def test_a_step_is_done_once_and_told_if_it_is_done(tmp_path: Path) -> None:
    told: list[str] = []
    mark = tmp_path / "mark"
    for _ in range(2):
        Steps(tmp_path, told.append).once("first", mark.is_file(), mark.touch)
    assert told == ["first"]
    assert list(read_json(tmp_path / SECONDS)) == ["first"]


def test_numbered_steps_are_all_told(tmp_path: Path) -> None:
    told: list[str] = []
    mark = tmp_path / "mark"
    for _ in range(2):
        steps = Steps(tmp_path, told.append, total=2)
        assert steps.resumed("a study", lambda: 7) == 7
        steps.once("the report", mark.is_file(), mark.touch)
    assert told == 2 * ["1/2  a study", "2/2  the report"]


def test_a_step_that_fails_is_done_again(tmp_path: Path) -> None:
    def fails() -> None:
        raise KeyboardInterrupt

    steps, mark = Steps(tmp_path, lambda _: None), tmp_path / "mark"
    write_json(tmp_path / SECONDS, {"first": 5.0})
    with pytest.raises(KeyboardInterrupt):
        steps.once("first", mark.is_file(), fails)
    steps.once("first", mark.is_file(), mark.touch)
    assert read_json(tmp_path / SECONDS) == {"first": 5.0}


def test_what_is_written_early_ends_no_step(tmp_path: Path) -> None:
    """A kill between metrics and model, and one while shards are made, left these: `tables` asked for the model."""
    run, records = tmp_path / "run", tmp_path / "records"
    for folder in (run, records):
        folder.mkdir()
    assert not run_ended(run) and not records_whole(records)
    write_json(run / "metrics.json", {})
    (run / "model.keras").touch()
    write_json(records / "index.json", {"complete": False})
    assert not run_ended(run) and not records_whole(records)
    (records / "index.json").write_text("{")
    assert not records_whole(records)
    write_json(run / "proof.json", {})
    write_json(records / "index.json", {"complete": True})
    assert run_ended(run) and records_whole(records)
