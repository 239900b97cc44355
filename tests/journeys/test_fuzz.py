"""Two thousand damaged files through `manifest` and `prepare`; `make test-fuzz` does a hundred thousand others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import fuzzing  # noqa: E402 - they lie above this file
from mutations import damaged, elements, groups, samples  # noqa: E402

from mammo_tf import guard  # noqa: E402
from mammo_tf.guard import Limits  # noqa: E402
from mammo_tf.study import Reject  # noqa: E402

SEED, FILES = 0, 2000


def test_a_number_makes_the_same_file_again() -> None:
    for number in range(40):
        assert damaged(number, SEED) == damaged(number, SEED)
    assert len({damaged(number, SEED) for number in range(400)}) > 360
    assert {group[0].name.split("/")[1] for group in groups() if "/" in group[0].name} >= {"codecs", "hostile", "dbt"}
    assert len(elements(bytearray(next(one.data for one in samples() if one.name.endswith("control.dcm"))))) > 30


def test_faults_are_told() -> None:
    """A file that is nowhere, one that is twice, one nobody made, one that crashed, one that flooded memory."""
    places = {f"{number}/a.dcm": number for number in range(5)}
    rejects = [
        Reject("1/a.dcm", "bad_pixels", "x"),
        Reject("2/a.dcm", "decoder_crashed", "x"),
        Reject("9/b.dcm", "x", "x"),
    ]
    rejects.append(Reject("4/a.dcm", "too_large", f"{fuzzing.FLOODED} 2 GiB"))
    found = "\n".join(fuzzing.once(places, ["1/a.dcm"], rejects, "prepare"))
    for told in (
        "0: prepare lists 0/a.dcm 0",
        "1: prepare lists 1/a.dcm 2",
        "None: prepare lists 9/b.dcm",
        "2: prepare: decoder",
    ):
        assert told in found
    assert "4: prepare: too_large" in found


def test_damaged_files_are_listed_or_refused_once_and_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        guard, "LIMITS", Limits(seconds=60.0, memory_bytes=fuzzing.LIMITS.memory_bytes)
    )  # a busy machine
    faults, refused, listed = [], set(), 0
    for begin in range(0, FILES, FILES // 2):
        root, records = tmp_path / f"{begin}", tmp_path / f"{begin}-records"
        places = fuzzing.write(range(begin, begin + FILES // 2), root, SEED)
        found = fuzzing.look(places, root, records)
        faults += found.faults
        refused |= {*found.listed, *found.prepared}
        listed += len(places) - found.prepared.total()
    assert faults == []
    assert listed > FILES // 5  # damage is not all that is seen
    assert len(refused) > 20
