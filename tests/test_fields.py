"""JSON to dataclasses and back: strict, by type, by rule and by kind; fields set by their paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json, one_of, set_field, set_fields, spelled, to_json, within


@dataclass(frozen=True)
class Plain:
    kind: ClassVar[str] = "plain"
    width: float = 1.0
    rows: int | None = None


@dataclass(frozen=True)
class Branched:
    kind: ClassVar[str] = "branched"
    branches: int = 2
    windows: tuple[int, ...] = (7,)


@dataclass(frozen=True)
class Bare:
    kind: ClassVar[str] = "bare"
    size: int


@dataclass(frozen=True)
class Beam:
    blur_mm: float = within(0.0, 2.0, default=1.0)
    field_mm: tuple[float, float] = within(120.0, 216.0, default=(216.0, 168.0))
    curve: str = one_of("log", "sigmoid", default="log")


@dataclass(frozen=True)
class Whole:
    name: str
    network: Plain | Branched | Bare = field(default_factory=Plain)
    beam: Beam = field(default_factory=Beam)
    optional: Plain | Branched | None = None
    several: tuple[Plain | Branched, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    share: str | float = "all"
    counts: dict[str, int] = field(default_factory=dict)


def test_a_union_is_told_apart_by_kind() -> None:
    whole = Whole("w", Branched(3), optional=Plain(0.5), several=(Plain(), Branched(5, (1, 2))))
    stored = to_json(whole)
    assert next(iter(stored["network"])) == "kind"
    assert stored["network"] == {"kind": "branched", "branches": 3, "windows": [7]}
    assert stored["optional"] == {"kind": "plain", "width": 0.5, "rows": None}
    assert from_json(Whole, stored) == whole


def test_a_class_with_a_kind_is_read_alone_too() -> None:
    assert from_json(Plain, {"kind": "plain", "width": 2}) == from_json(Plain, {"width": 2}) == Plain(2.0)
    with pytest.raises(MammoError, match="kind is 'branched', not 'plain'"):
        from_json(Plain, {"kind": "branched"})


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"network": {"kind": "brancht"}}, "field_wrong", "kind is 'brancht', not one of plain, branched, bare"),
        ({"network": {"kind": "brancht"}}, "field_wrong", "Did you mean branched?"),
        ({"network": {"kind": ["plain"]}}, "field_wrong", "network.kind is ['plain'], not one of"),
        ({"network": {"width": 2}}, "field_missing", "'network.kind' is missing. Known are plain, branched, bare"),
        ({"network": {"kind": "branched", "width": 2}}, "field_unknown", "no field 'network.width'"),
        ({"network": {"kind": "bare"}}, "field_missing", "the field 'network.size' is missing"),
        ({"network": 3}, "field_wrong", "network is 3, not a group of fields"),
        ({"several": [{"kind": "plain"}, {"kind": "x"}]}, "field_wrong", "several.1.kind is 'x'"),
        ({"beam": {"blur_mm": 7}}, "field_wrong", "beam.blur_mm is 7, not within 0 to 2"),
        ({"beam": {"field_mm": [200, 500]}}, "field_wrong", "beam.field_mm.1 is 500, not within 120 to 216"),
        ({"beam": {"field_mm": [200]}}, "field_wrong", "beam.field_mm has 1 values, not a list of 2 numbers"),
        ({"beam": {"field_mm": 200}}, "field_wrong", "beam.field_mm is 200, not a list of 2 numbers"),
        ({"beam": {"curve": "sigmoidal"}}, "field_wrong", "not one of log, sigmoid. Did you mean sigmoid?"),
        ({"beam": {"blur": 1}}, "field_unknown", "no field 'beam.blur'. Did you mean beam.blur_mm?"),
        ({"mode": "slw"}, "field_wrong", "mode is 'slw', not one of fast, slow. Did you mean slow?"),
        ({"share": [1]}, "field_wrong", "share is [1], not a text or a number"),
        ({"counts": {"a": True}}, "field_wrong", "counts.a is True, not a whole number"),
        ({"name": None}, "field_wrong", "name is None, not a text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(change: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(MammoError) as caught:
        from_json(Whole, {"name": "w"} | change)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_the_wording_names_the_file_and_its_codes() -> None:
    wording = Wording("the file", "key", "machine a.json: ", "key_unknown", "key_missing", "value_wrong")
    for value, code, message in (
        ([], "value_wrong", "machine a.json: the file is [], not a group of keys"),
        ({}, "key_missing", "machine a.json: the key 'name' is missing"),
        ({"nam": "x"}, "key_unknown", "machine a.json: there is no key 'nam'. Did you mean name?"),
        ({"name": "x", "beam": {"blur_mm": 7}}, "value_wrong", "machine a.json: beam.blur_mm is 7, not within 0 to 2"),
    ):
        with pytest.raises(MammoError) as caught:
            from_json(Whole, value, wording=wording)
        assert (caught.value.code, str(caught.value)) == (code, message)


def test_fields_of_a_kind_are_set_by_their_paths() -> None:
    whole = Whole("w", several=(Plain(), Plain()))
    assert set_field(whole, "network.width", "0.5").network == Plain(0.5)
    assert set_field(whole, "network.kind", "plain") == whole
    assert set_field(whole, "several.1.kind", "branched").several == (Plain(), Branched())


def test_another_kind_begins_with_its_defaults() -> None:
    whole = Whole("w", Plain(0.5, 7))
    settings = [("network.branches", "4"), ("network.kind", "branched"), ("network.windows", "[3, 4]")]
    assert set_fields(whole, settings).network == Branched(4, (3, 4))
    assert set_fields(whole, [("network.kind", "bare"), ("network.size", "3")]).network == Bare(3)
    for settings, message in (
        ([("network.kind", "brancht")], "network.kind is 'brancht', not one of plain, branched, bare. Did you"),
        ([("network.kind", "branched"), ("network.branchs", "4")], "no field 'network.branchs'. Did you mean network"),
        ([("network.kind", "bare")], "the field 'network.size' is missing"),
        ([("network.branches", "4")], "no field 'network.branches'"),
    ):  # fmt: skip
        with pytest.raises(MammoError) as caught:
            set_fields(whole, settings)
        assert message in str(caught.value)


@dataclass(frozen=True)
class Outer:
    beam: Beam | None = None
    network: Plain | Branched | None = None
    rows: int | None = None


def test_a_group_that_was_null_begins_where_a_field_of_it_is_set() -> None:
    both = [("beam.curve", "log"), ("beam.blur_mm", "0.5")]
    assert set_fields(Outer(), both) == Outer(Beam(0.5, curve="log"))
    assert set_fields(Outer(), [("network.width", "2"), ("network.kind", "plain")]) == Outer(network=Plain(2.0))
    for path, words in (("beam.blurr", "no field 'beam.blurr'"), ("network.width", "kind"), ("rows.x", "rows is")):
        with pytest.raises(MammoError, match=words):
            set_field(Outer(), path, "2")


def test_a_path_has_one_spelling() -> None:
    @dataclass(frozen=True)
    class Row:
        name: str
        rate: float = 0.5

    @dataclass(frozen=True)
    class Table:
        rows: tuple[Row, ...] = (Row("a"), Row("b"))
        sizes: tuple[int, ...] = (3, 4)

    assert spelled(Table(), "rows.1.rate") == spelled(Table(), "rows.b.rate") == "rows.b.rate"
    assert spelled(Table(), "sizes.1") == "sizes.1"
    assert spelled(Table(), "rows") == "rows"
    with pytest.raises(MammoError, match="there is no field 'rows.c.rate'"):
        spelled(Table(), "rows.c.rate")
