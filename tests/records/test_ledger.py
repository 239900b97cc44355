"""The ledger: a model and its images once, damage told with the line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.records.ledger import LEDGER, Measurement, enter, entries

ONE = Measurement("model", "images", "recipe", "run", 8)


def test_a_model_is_entered_once_for_the_same_images(tmp_path: Path) -> None:
    assert entries(tmp_path) == []
    for measurement in (ONE, replace(ONE, run="again"), replace(ONE, model="other"), replace(ONE, test="others")):
        enter(tmp_path, measurement)
    assert entries(tmp_path) == [ONE, replace(ONE, model="other"), replace(ONE, test="others")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [LEDGER]


def test_a_ledger_goes_on_behind_a_line_without_an_end(tmp_path: Path) -> None:
    enter(tmp_path, ONE)
    path = tmp_path / LEDGER
    path.write_text(path.read_text().rstrip() + "\n\n" * 2)
    enter(tmp_path, replace(ONE, model="other"))
    path.write_text(path.read_text().rstrip())
    enter(tmp_path, replace(ONE, model="third"))
    assert [one.model for one in entries(tmp_path)] == ["model", "other", "third"]


OTHERS = [json.dumps(asdict(ONE) | other) for other in ({"images": 10**400}, {"model": 5})]


@pytest.mark.parametrize("line", ["[" * 10_000, *OTHERS, "half a li", "[1]", "{}", '{"model": 1}', "null"])
def test_a_damaged_line_is_told(line: str, tmp_path: Path) -> None:
    enter(tmp_path, ONE)
    with (tmp_path / LEDGER).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(MammoError, match=f"{LEDGER}, line 2 is not a measurement"):
        enter(tmp_path, ONE)


def test_a_line_that_is_no_text_is_told(tmp_path: Path) -> None:
    enter(tmp_path, ONE)
    with (tmp_path / LEDGER).open("ab") as stream:
        stream.write(json.dumps(asdict(ONE)).replace("recipe", "Th\xe8se").encode("latin-1"))
    with pytest.raises(MammoError, match=f"{LEDGER}, line 2 is not a measurement"):
        enter(tmp_path, replace(ONE, model="other"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / LEDGER).mkdir()
    with pytest.raises(MammoError, match="cannot be written .* is not counted") as caught:
        enter(tmp_path, ONE)
    assert caught.value.code == "ledger_closed"
