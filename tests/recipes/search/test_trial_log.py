"""The log of a search: a kill at any byte loses nothing that was acted upon, and damage is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.recipes.search.trial_log import Begun, Ended, Event, Over, TrialLog, Waits

EVENTS: tuple[Event, ...] = (
    Begun("0", {"a.rate": 1.2345678901234567e-05, "kind": '["x"]', "size": 3}),
    Begun("1", {"a.rate": 0.5}, 3, "0", {"tuner/epochs": 3, "tuner/trial_id": "0"}),
    Ended("0", 0.71, 4, 12.5),
    Waits(),
    Ended("1", None, 1, 2.0, "the loss is not finite"),
    Over(),
)


def written(path: Path, events: tuple[Event, ...] = EVENTS) -> bytes:
    log = TrialLog(path)
    log.read()
    for event in events:
        log.add(event)
    return path.read_bytes()


def test_what_is_written_is_read_to_the_digit(tmp_path: Path) -> None:
    written(tmp_path / "log.jsonl")
    log = TrialLog(tmp_path / "log.jsonl")
    assert tuple(log.read()) == EVENTS == tuple(log.events)
    assert list(log.trials) == ["0", "1"]
    assert [one.score for one in log.trials.values()] == [0.71, None]
    assert not log.running
    assert not TrialLog(tmp_path / "none.jsonl").read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.data())
def test_a_log_that_was_cut_anywhere_holds_what_was_whole_and_goes_on(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    whole = written(path)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    log = TrialLog(path)
    kept = len(log.read())
    assert kept == whole[:cut].count(b"\n")
    for event in EVENTS[kept:]:
        log.add(event)
    assert path.read_bytes() == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.data())
def test_a_byte_that_was_changed_is_told_by_its_line(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    whole = bytearray(written(path))
    place = data.draw(st.integers(0, len(whole) - 2))
    other = data.draw(st.integers(1, 255))
    line = whole[:place].count(b"\n") + 1
    whole[place] ^= other
    path.write_bytes(whole)
    with pytest.raises(MammoError, match=f"line ({line}|{max(1, line - 1)}|{line + 1}): ") as caught:
        TrialLog(path).read()
    assert caught.value.code == "log_damaged"


def test_a_line_that_was_taken_out_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(MammoError, match="line 3"):
        TrialLog(path).read()


def test_who_reads_on_sees_what_another_wrote(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    mine, theirs = TrialLog(path), TrialLog(path)
    mine.add(EVENTS[0])
    assert tuple(theirs.read()) == EVENTS[:1]
    theirs.add(EVENTS[1])
    theirs.add(EVENTS[2])
    assert [one.trial for one in theirs.running] == ["1"]
    assert tuple(mine.read()) == EVENTS[1:3]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(MammoError, match="shorter than it was"):
        mine.read()
