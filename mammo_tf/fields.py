"""Frozen dataclasses as JSON and back, checked by their types; single fields set from text.

The one strict reader of JSON: recipes, machines of the phantom, preprocessing steps. A class says what a field may hold
by its type, and by `within` and `one_of` where the type says too little:

    @dataclass(frozen=True)
    class Detector:
        blur_mm: float = within(0.0, 2.0)

Classes that stand for one another are told apart by a constant `kind`, which JSON writes first; the name is kept for
that:

    @dataclass(frozen=True)
    class Plain:
        kind: ClassVar[str] = "plain"
        width: float = 1.0

    network: Plain | Branched      # {"kind": "plain", "width": 1.0}

Where anyone may add a class of their own, the classes are not listed but registered:

    NETWORKS = Kinds()

    @NETWORKS.register
    @dataclass(frozen=True)
    class Plain: ...

    network: Annotated[Any, NETWORKS]
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json

Value = TypeVar("Value")
KIND = "kind"
WORDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false", type(None): "null"}


class Kinds(dict[str, type]):
    """Classes that stand for one another, by their `kind`; further ones may be registered by anyone."""

    def register(self, described: type[Value]) -> type[Value]:
        """Makes a dataclass known by its constant `kind`; a decorator."""
        self[str(getattr(described, KIND))] = described
        return described

    def __hash__(self) -> int:  # type: ignore[override]  # annotations are hashed; two registries are never one
        return id(self)


class Wording(NamedTuple):
    """How the reader speaks of what it reads.

    Attributes:
        noun: the whole.
        part: what it consists of.
        before: stands before every sentence: the file.
        unknown, missing, wrong: codes of the errors.
    """

    noun: str = "the recipe"
    part: str = "field"
    before: str = ""
    unknown: str = "field_unknown"
    missing: str = "field_missing"
    wrong: str = "field_wrong"


RECIPE = Wording()


def within(low: float, high: float, **extra: Any) -> Any:
    """A field that holds a number between two bounds, or several; the bounds themselves are allowed.

    Args:
        low, high: the bounds.
        extra: as for `dataclasses.field`, such as `default`.
    """
    return dataclasses.field(metadata={"range": (low, high)}, **extra)


def one_of(*choices: str, **extra: Any) -> Any:
    """A field that holds one of a few words; `extra` as for `within`."""
    return dataclasses.field(metadata={"choices": choices}, **extra)


def entry(**extra: Any) -> Any:
    """A field with nothing but its type to hold it to, where it stands behind one that has a rule."""
    return dataclasses.field(**extra)


def to_json(value: Any) -> Any:
    """A dataclass as JSON values: dataclasses become dictionaries, tuples become lists; a `kind` comes first."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        constant = kind_of(value)
        named = {} if constant is None else {KIND: constant}
        return named | {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return value


def kind_of(described: Any) -> str | None:
    """The constant `kind` of a dataclass or of its class; None where it has none."""
    constant = getattr(described if isinstance(described, type) else type(described), KIND, None)
    return constant if dataclasses.is_dataclass(described) and isinstance(constant, str) else None


def from_json(kind: type[Value], value: Any, where: str = "", wording: Wording = RECIPE) -> Value:
    """What `to_json` gave, back.

    Args:
        kind: the dataclass. A field without default must be there.
        value: as read from JSON.
        where: names the place in messages.
        wording: how messages speak of it.

    Raises:
        MammoError: `field_unknown` with the nearest name, `field_missing`, `field_wrong`, or the codes of the wording.
    """
    if not isinstance(value, Mapping):
        raise _wrong(where or wording.noun, value, f"a group of {wording.part}s", wording)
    value = _without_kind(kind, value, where, wording)
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    for name in value:
        if name not in fields:
            raise unknown_field(_joined(where, name), [_joined(where, known) for known in fields], wording)
    for name, field in fields.items():
        if name not in value and field.default is field.default_factory is dataclasses.MISSING:
            sentence = f"{wording.before}the {wording.part} {_joined(where, name)!r} is missing"
            raise MammoError(wording.missing, sentence)
    settings = {}
    for name, item in value.items():
        place = _joined(where, name)
        settings[name] = convert(hints[name], item, place, wording)
        _check_rules(settings[name], fields[name].metadata, place, wording)
    return kind(**settings)


def convert(kind: Any, value: Any, where: str, wording: Wording = RECIPE) -> Any:
    """`value` as the type `kind`: a whole number may stand for a float, a list for a tuple; nothing else is bent.

    Args:
        kind: a dataclass, a plain type, `tuple`, `dict`, `Literal`, or a union of them. Of several dataclasses (a
            union, or `Annotated[..., Kinds]`) the value's `kind` says which.
        value, where, wording: as for `from_json`.

    Raises:
        MammoError: as `from_json`.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_option(kind, value, where, wording)
    if origin is Annotated:
        registered = next((note for note in get_args(kind)[1:] if isinstance(note, Kinds)), None)
        if registered is None:
            return convert(get_args(kind)[0], value, where, wording)
        if not isinstance(value, Mapping):
            raise _wrong(where, value, f"a group of {wording.part}s", wording)
        return _of_kind(registered, value, where, wording)
    if origin is Literal:
        if not any(type(value) is type(known) and value == known for known in get_args(kind)):
            raise _unknown_word(where, value, get_args(kind), wording)
        return value
    if dataclasses.is_dataclass(kind):
        return from_json(kind, value, where, wording)  # type: ignore[arg-type]  # a dataclass type
    if origin is tuple and isinstance(value, list | tuple):
        item = get_args(kind)
        kinds = [item[0]] * len(value) if len(item) == 2 and item[1] is Ellipsis else list(item)
        if len(kinds) != len(value):
            raise MammoError(wording.wrong, f"{wording.before}{where} has {len(value)} values, not {_asked(kind)}")
        return tuple(
            convert(one, part, f"{where}.{number}", wording)
            for number, (one, part) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {str(key): convert(get_args(kind)[1], item, f"{where}.{key}", wording) for key, item in value.items()}
    if kind is float and isinstance(value, float | int) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong(where, value, "a finite number", wording)
        return float(value)
    if origin is None and isinstance(kind, type) and type(value) is kind:
        return value
    raise _wrong(where, value, _asked(kind), wording)


def _one_option(union: Any, value: Any, where: str, wording: Wording) -> Any:
    """`value` as one of the types of a union: the one that its `kind` names, or else the first that fits."""
    options = [option for option in get_args(union) if option is not type(None)]
    if value is None and len(options) < len(get_args(union)):
        return None
    kinds = {kind_of(option): option for option in options if kind_of(option) is not None}
    if len(kinds) > 1 and isinstance(value, Mapping):
        return _of_kind({str(name): option for name, option in kinds.items()}, value, where, wording)
    if len(options) == 1:
        return convert(options[0], value, where, wording)
    for option in options:
        try:
            return convert(option, value, where, wording)
        except MammoError:
            if isinstance(value, Mapping) and dataclasses.is_dataclass(option):
                raise
    raise _wrong(where, value, _asked(union), wording)


def _of_kind(kinds: Mapping[str, type], value: Mapping[str, Any], where: str, wording: Wording) -> Any:
    """A mapping as the dataclass that its `kind` names."""
    if KIND not in value:
        sentence = f"{wording.before}the {wording.part} {_joined(where, KIND)!r} is missing"
        raise MammoError(wording.missing, sentence, f"Known are {', '.join(kinds)}")
    if value[KIND] not in tuple(kinds):
        raise _unknown_word(_joined(where, KIND), value[KIND], tuple(kinds), wording)
    return from_json(kinds[value[KIND]], value, where, wording)


def _without_kind(kind: Any, value: Mapping[str, Any], where: str, wording: Wording) -> Mapping[str, Any]:
    """The mapping without the constant that names its class, which must be this one's."""
    constant = kind_of(kind)
    if constant is None or KIND not in value:
        return value
    if value[KIND] != constant:
        raise _unknown_word(_joined(where, KIND), value[KIND], [constant], wording)
    return {name: item for name, item in value.items() if name != KIND}


def _check_rules(value: Any, rules: Mapping[str, Any], where: str, wording: Wording) -> None:
    """Holds a value to its field's `within` and `one_of`."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            _check_rules(item, rules, f"{where}.{number}", wording)
    elif "choices" in rules and value is not None and value not in rules["choices"]:
        raise _unknown_word(where, value, rules["choices"], wording)
    elif "range" in rules and value is not None:
        low, high = rules["range"]
        if not low <= value <= high:
            raise MammoError(wording.wrong, f"{wording.before}{where} is {value:g}, not within {low:g} to {high:g}")


def unknown_field(name: str, known: Sequence[str], wording: Wording = RECIPE) -> MammoError:
    """The error for a field that is not there, with the nearest one that is."""
    remedy = nearest(name, known) or f"Known are {', '.join(known)}"
    return MammoError(wording.unknown, f"{wording.before}there is no {wording.part} {name!r}", remedy)


def nearest(word: Any, known: Iterable[str]) -> str:
    """The question whether the known word that is nearest was meant; "" where none is near."""
    near = difflib.get_close_matches(str(word), list(known), 1, 0.5)
    return f"Did you mean {near[0]}?" if near else ""


def _unknown_word(where: str, value: Any, known: Sequence[Any], wording: Wording) -> MammoError:
    words = [str(word) for word in known]
    told = f"one of {', '.join(words)}" if len(words) > 1 else repr(words[0])
    return MammoError(wording.wrong, f"{wording.before}{where} is {value!r}, not {told}", nearest(value, words))


def _wrong(where: str, value: Any, asked: str, wording: Wording) -> MammoError:
    return MammoError(wording.wrong, f"{wording.before}{where} is {value!r}, not {asked}")


def _asked(kind: Any) -> str:
    """A type in words, such as "a list of 2 numbers"."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return "a group of fields"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_asked(part) for part in parts))
    if origin is tuple:
        several = {float: "numbers", int: "whole numbers", str: "texts"}.get(parts[0], "values")
        return f"a list of {several}" if Ellipsis in parts else f"a list of {len(parts)} {several}"
    if dataclasses.is_dataclass(kind) or origin in (dict, Mapping):
        return "a group of fields"
    return WORDS.get(kind, f"of type {getattr(kind, '__name__', kind)}")


def _joined(where: str, name: Any) -> str:
    return f"{where}.{name}" if where else str(name)


def set_fields(recipe: Value, settings: Iterable[tuple[str, str]]) -> Value:
    """The recipe with fields changed, as `--set training.batch_size=8` says; checked once all are set.

    Args:
        recipe: a dataclass.
        settings: path and text of each; a path is names joined by dots, an element of a tuple is named by its field
            `name` or else by its number; the text is JSON, or plain text for a field that takes text. Another `kind`
            begins with the defaults of its class, wherever it stands among the settings, and so does a group that was
            null.

    Raises:
        MammoError: `field_unknown` with the nearest path, `field_wrong`, and what the recipe says of its values.
    """
    tree = to_json(recipe)
    texts = {}
    begun: list[Any] = []  # places that were null or of another kind: their fields are not known before they are read
    for path, text in sorted(settings, key=lambda setting: setting[0].split(".")[-1] != KIND):
        place, parts, keys = tree, path.split("."), []
        for number, part in enumerate(parts):
            ends = number + 1 == len(parts)
            key = part if ends and any(place is one for one in begun) else _key(place, part)
            if key is None:
                raise unknown_field(path, _paths(tree))
            keys.append(str(key))
            if not ends:
                if place[key] is None:
                    place[key] = {}
                    begun.append(place[key])
                place = place[key]
        if key == KIND and place.get(KIND) != _parsed(text):
            place.clear()
            begun.append(place)
        place[key] = _parsed(text)
        if place[key] != text:
            texts[".".join(keys)] = (place, key, text)
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


def spelled(recipe: Any, path: str) -> str:
    """The path of a field in one spelling: elements of a tuple by their field `name`, where they have one.

    Args:
        recipe: a dataclass.
        path: as for `set_fields`.

    Raises:
        MammoError: `field_unknown` with the nearest path.
    """
    place, parts = to_json(recipe), []
    for part in path.split("."):
        key = _key(place, part)
        if key is None:
            raise unknown_field(path, _paths(to_json(recipe)))
        place = place[key]
        named = isinstance(key, int) and isinstance(place, dict) and "name" in place
        parts.append(str(place["name"] if named else key))
    return ".".join(parts)


def _key(place: Any, part: str) -> Any:
    if isinstance(place, dict):
        return part if part in place else None
    if isinstance(place, list):
        named = [number for number, item in enumerate(place) if isinstance(item, dict) and item.get("name") == part]
        if named:
            return named[0]
        return int(part) if part in map(str, range(len(place))) else None
    return None


def _parsed(text: str) -> Any:
    try:
        return parsed_json(text)
    except ValueError:
        return text


def _paths(place: Any, before: str = "") -> list[str]:
    items = place.items() if isinstance(place, dict) else enumerate(place) if isinstance(place, list) else ()
    found = []
    for key, item in items:
        name = item["name"] if isinstance(item, dict) and isinstance(key, int) and "name" in item else key
        found += [f"{before}{name}", *_paths(item, f"{before}{name}.")]
    return found
