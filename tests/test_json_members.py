"""Objects with long lists: written as ever, read an element at a time, wherever a piece of the file ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_tf import json_members
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.json_members import elements, member, read_members, write_members

NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)
EACH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@EACH
@given(value=OBJECTS)
def test_it_is_written_as_a_whole_is(value: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "whole.json", value)
    write_members(
        tmp_path / "apart.json",
        ((name, iter(one) if isinstance(one, list) else one) for name, one in value.items()),
    )
    assert (tmp_path / "apart.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


@EACH
@given(value=OBJECTS, piece=st.integers(1, 9))
def test_it_is_read_as_a_whole_is(value: dict[str, Any], piece: int, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    write_json(path, value)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_members, "PIECE", piece)
        assert read_members(path, ()) == value
        for name, one in value.items():
            assert read_members(path, (name,)) == {other: value[other] for other in value if other != name}
            assert member(path, name) == one
            if isinstance(one, list):
                assert list(elements(path, name)) == one
            else:
                with pytest.raises(ValueError, match="is due"):
                    list(elements(path, name))
        for missing in (member, lambda *asked: list(elements(*asked))):
            with pytest.raises(KeyError):
                missing(path, "longer than names are")


def test_numbers_at_the_end_of_a_piece_keep_their_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.json").write_text('{"a": [12345, 1.5e10, -7], "b": 12}')
    for piece in range(1, 12):
        monkeypatch.setattr(json_members, "PIECE", piece)
        assert list(elements(tmp_path / "one.json", "a")) == [12345, 1.5e10, -7]
        assert member(tmp_path / "one.json", "b") == 12


def test_what_is_cut_or_goes_on_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    write_json(path, {"a": [{"b": 1}, 2], "c": "d", "e": []})
    text = path.read_text().rstrip()
    for wrong in (
        *(text[:end] for end in range(len(text))),
        f"{text}}}",
        f"{text} 1",
        text.replace(",", ";"),
        "\ufeff{}",
    ):
        path.write_text(wrong)
        for without in ((), ("a", "e")):
            with pytest.raises(MammoError) as caught:
                read_members(path, without)
            assert caught.value.code == "json_broken"
    path.write_bytes(b'{"a": ["\xff"]}')
    with pytest.raises(MammoError, match="not readable JSON"):
        read_members(path, ("a",))
    path.write_text(f'{{"a": [{"[" * 5000}{"]" * 5000}]}}')
    with pytest.raises(MammoError, match="nested more than 100 levels deep"):
        read_members(path, ("a",))
    with pytest.raises(MammoError, match="is not there"):
        read_members(tmp_path / "gone.json", ())


@pytest.mark.parametrize("text", ["null", " [1, 2] ", '"a"', "12", "{}", " { } "])
def test_what_is_no_object_is_read_as_ever(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(text)
    assert read_members(tmp_path / "one.json", ("a",)) == read_json(tmp_path / "one.json")
