"""Frozen dataclasses as JSON and back, checked by their types; single fields set from text."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mammo_tf.errors import MammoError

Value = TypeVar("Value")


def to_json(value: Any) -> Any:
    """A dataclass as JSON values: dataclasses become dictionaries, tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return value


def from_json(kind: type[Value], value: Any, where: str = "") -> Value:
    """What `to_json` gave, back; `where` names the place in messages.

    Raises:
        MammoError: `field_unknown` with the nearest name, `field_missing`, `field_wrong`.
    """
    if not isinstance(value, Mapping):
        raise MammoError("field_wrong", f"{where or 'the recipe'} is {value!r}, not a group of fields")
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]  # kind is a dataclass
    for name in value:
        if name not in names:
            raise unknown_field(f"{where}.{name}".lstrip("."), [f"{where}.{known}".lstrip(".") for known in names])
    settings = {name: convert(hints[name], item, f"{where}.{name}".lstrip(".")) for name, item in value.items()}
    try:
        return kind(**settings)
    except TypeError as error:
        raise MammoError("field_missing", f"{where or 'the recipe'} lacks a field: {error}") from error


def convert(kind: Any, value: Any, where: str) -> Any:
    """`value` as the type `kind`: a whole number may stand for a float, a list for a tuple; nothing else is bent.

    Raises:
        MammoError: as `from_json`.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        options = get_args(kind)
        if value is None and type(None) in options:
            return None
        failures = []
        for option in options:
            if option is not type(None):
                try:
                    return convert(option, value, where)
                except MammoError as error:
                    failures.append(error)
        raise failures[0]
    if dataclasses.is_dataclass(kind):
        return from_json(kind, value, where)  # type: ignore[arg-type]  # a dataclass type
    if origin is tuple and isinstance(value, list | tuple):
        item = get_args(kind)
        kinds = [item[0]] * len(value) if len(item) == 2 and item[1] is Ellipsis else list(item)
        if len(kinds) != len(value):
            raise MammoError("field_wrong", f"{where} has {len(value)} values, not {len(kinds)}")
        return tuple(
            convert(one, part, f"{where}.{number}") for number, (one, part) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {str(key): convert(get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, float | int) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise MammoError("field_wrong", f"{where} is {value!r}, which is no finite number")
        return float(value)
    if origin is None and isinstance(kind, type) and type(value) is kind:
        return value
    wanted = getattr(kind, "__name__", str(kind)) if origin is None else str(kind)
    raise MammoError("field_wrong", f"{where} is {value!r}, which is no {wanted}")


def unknown_field(name: str, known: list[str]) -> MammoError:
    """The error for a field that is not there, with the nearest one that is."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    remedy = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}"
    return MammoError("field_unknown", f"there is no field {name!r}", remedy)


def set_fields(recipe: Value, settings: Iterable[tuple[str, str]]) -> Value:
    """The recipe with fields changed, as `--set training.batch_size=8` says; checked once all are set.

    Args:
        recipe: a dataclass.
        settings: path and text of each; a path is names joined by dots, an element of a tuple is named by its number or
            by its field `name`; the text is JSON, or plain text for a field that takes text.

    Raises:
        MammoError: `field_unknown` with the nearest path, `field_wrong`, and what the recipe says of its values.
    """
    tree = to_json(recipe)
    texts = {}
    for path, text in settings:
        place, parts = tree, path.split(".")
        for number, part in enumerate(parts):
            key = _key(place, part)
            if key is None:
                raise unknown_field(path, _paths(tree))
            if number + 1 < len(parts):
                place = place[key]
        place[key] = _parsed(text)
        if place[key] != text:
            texts[path] = (place, key, text)
    first: MammoError | None = None
    while True:
        try:
            return from_json(type(recipe), tree)
        except MammoError as error:
            # a text that happens to be JSON, such as a name of digits
            named = [path for path in texts if error.sentence.startswith(f"{path} is ")]
            if error.code != "field_wrong" or not named:
                raise first or error from None
            first = error
            place, key, text = texts.pop(named[0])
            place[key] = text


def set_field(recipe: Value, path: str, text: str) -> Value:
    """The recipe with one field changed; see `set_fields`."""
    return set_fields(recipe, [(path, text)])


def _key(place: Any, part: str) -> Any:
    if isinstance(place, dict):
        return part if part in place else None
    if isinstance(place, list):
        if part.isdigit() and int(part) < len(place):
            return int(part)
        named = [number for number, item in enumerate(place) if isinstance(item, dict) and item.get("name") == part]
        return named[0] if named else None
    return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _paths(place: Any, before: str = "") -> list[str]:
    items = place.items() if isinstance(place, dict) else enumerate(place) if isinstance(place, list) else ()
    found = []
    for key, item in items:
        name = item["name"] if isinstance(item, dict) and isinstance(key, int) and "name" in item else key
        found += [f"{before}{name}", *_paths(item, f"{before}{name}.")]
    return found
