"""What is searched: fields of a recipe, as `--set` spells them, each with its range; typed and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.fields import Kinds, set_fields, spelled, to_json

DIMENSIONS = Kinds()
Json = str | int | float | bool | None | list[Any] | dict[str, Any]
Label = str | int | float  # a value as the log and keras-tuner have it


class Settable(Protocol):
    """What a space is of: a recipe."""

    def path(self, field: str) -> str:
        """The full path of a field."""


Recipe = TypeVar("Recipe", bound=Settable)


@dataclass(frozen=True)
class When:
    """A field that is searched only where another one has some of its values.

    Attributes:
        field: the other one, a `OneOf`.
        labels: its values by which this field is searched, see `OneOf.labels`.
    """

    field: str
    labels: tuple[str, ...]


@DIMENSIONS.register
@dataclass(frozen=True)
class Number:
    """A number between two bounds.

    Attributes:
        low, high: the bounds, both allowed.
        log: drawn on a logarithmic scale, as rates and decays are.
        when: see `When`.
    """

    kind: ClassVar[str] = "number"
    low: float
    high: float
    log: bool = False
    when: When | None = None

    @property
    def wrong(self) -> str:
        """What is wrong with the range; empty where nothing is."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return f"has no end: {self.low:g} to {self.high:g}"
        if self.low >= self.high:
            return f"is empty: {self.low:g} to {self.high:g}"
        return f"is logarithmic and begins at {self.low:g}, not above 0" if self.log and self.low <= 0 else ""

    @property
    def ends(self) -> tuple[Label, ...]:
        """Values that are tried on the recipe before anything is run."""
        return (self.low, self.high)

    def value(self, label: Label) -> Json:
        """What the recipe's field becomes."""
        return float(label)


@DIMENSIONS.register
@dataclass(frozen=True)
class Whole:
    """A whole number between two bounds, in steps; attributes as of `Number`."""

    kind: ClassVar[str] = "whole"
    low: int
    high: int
    step: int = 1
    when: When | None = None

    @property
    def wrong(self) -> str:
        """As of `Number`."""
        if self.step < 1 or self.low + self.step > self.high:
            return f"is empty: {self.low} to {self.high} by {self.step}"
        return ""

    @property
    def ends(self) -> tuple[Label, ...]:
        """As of `Number`."""
        return (self.low, self.high)

    def value(self, label: Label) -> Json:
        """As of `Number`."""
        return int(label)


@DIMENSIONS.register
@dataclass(frozen=True)
class OneOf:
    """One of several values of any kind: numbers, words, lists of parts, whole groups of fields.

    Attributes:
        values: each as the recipe has it.
        names: what the values are called in tables, one each; () for words as they are and JSON of others.
        when: see `When`.
    """

    kind: ClassVar[str] = "one_of"
    values: tuple[Any, ...]
    names: tuple[str, ...] = ()
    when: When | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What the values are called."""
        return self.names or tuple(one if isinstance(one, str) else _text(to_json(one)) for one in self.values)

    @property
    def wrong(self) -> str:
        """As of `Number`."""
        if len(self.values) < 2:
            return f"is empty: {len(self.values)} value{'s' if not self.values else ''} to choose from"
        if len(self.labels) != len(self.values) or len(set(self.labels)) != len(self.labels):
            return f"has not one name for each of {len(self.values)} values: {', '.join(self.labels)}"
        return ""

    @property
    def ends(self) -> tuple[Label, ...]:
        """As of `Number`: all of them."""
        return self.labels

    def value(self, label: Label) -> Json:
        """As of `Number`."""
        made: Json = to_json(self.values[self.labels.index(str(label))])
        return made


Dimension = Annotated[Number | Whole | OneOf, DIMENSIONS]


@dataclass(frozen=True)
class Space:
    """What a search goes through.

    Attributes:
        fields: name of a recipe's field, as `--set` has it (`stages.stage_1.rate`), -> its range.
        objective: what is made as large as it gets, a figure of validation: `val_auc` of a classification, `val_dice`
            of a segmentation; "" takes the one that the recipe's task has.

    Raises:
        MammoError: `space_wrong` for a range that is empty or a condition that no field can meet.
    """

    fields: dict[str, Dimension] = field(default_factory=dict)
    objective: str = ""

    def __post_init__(self) -> None:
        if not self.fields:
            raise _wrong("the space is empty: no field is searched")
        for name, dimension in self.fields.items():
            if dimension.wrong:
                raise _wrong(f"the range of {name} {dimension.wrong}")
            if dimension.when is not None:
                self._check_condition(name, dimension.when)

    def _check_condition(self, name: str, when: When) -> None:
        other = self.fields.get(when.field)
        if not isinstance(other, OneOf) or other.when is not None:
            raise _wrong(f"{name} is searched by the value of {when.field}, which is not a OneOf without a condition")
        unknown = [label for label in when.labels if label not in other.labels]
        if unknown or not when.labels:
            raise _wrong(
                f"{name} is searched where {when.field} is {', '.join(unknown) or 'nothing'}, which it never is"
            )

    def check(self, recipe: Settable) -> None:
        """Refuses a space that is not of this recipe, before anything is run.

        Every end of every range is tried on the recipe, where its condition holds.

        Raises:
            MammoError: `space_wrong`, naming the field: unknown (with the nearest), twice, or of values that the recipe
                refuses.
        """
        places: dict[str, str] = {}
        for name, dimension in self.fields.items():
            when = dimension.when
            conditions: list[dict[str, Label]] = (
                [{}] if when is None else [{when.field: label} for label in when.labels]
            )
            for given, label in product(conditions, dimension.ends):
                try:
                    changed = self.changed(recipe, given | {name: label})
                except MammoError as error:
                    raise _wrong(f"{name} cannot be searched: {error.sentence}", error.remedy) from error
            place = spelled(changed, changed.path(name))
            if place in places:
                raise _wrong(f"{places[place]} and {name} are one field")
            places[place] = name

    def changed(self, recipe: Recipe, labels: Mapping[str, Label]) -> Recipe:
        """The recipe with fields set.

        Args:
            recipe: what is searched.
            labels: field -> label, of some or all fields.

        Raises:
            MammoError: as `fields.set_fields`, and what the recipe says of its values.
        """
        return with_values(recipe, {name: self.fields[name].value(label) for name, label in labels.items()})


def with_values(recipe: Recipe, values: Mapping[str, Json]) -> Recipe:
    """The recipe with fields set to JSON values; groups of fields come first, as others may stand in them.

    Args:
        recipe: any.
        values: field, as `--set` has it, -> value.

    Raises:
        MammoError: as `fields.set_fields`.
    """
    groups = {name: value for name, value in values.items() if _is_group(value)}
    first = set_fields(recipe, [(recipe.path(name), _text(value)) for name, value in groups.items()])
    others = [(first.path(name), _text(value)) for name, value in values.items() if name not in groups]
    return set_fields(first, others)


def _is_group(value: Json) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value))


def _text(value: Json) -> str:
    return json.dumps(value, allow_nan=False)


def _wrong(sentence: str, remedy: str = "Fix the search space next to the recipe") -> MammoError:
    return MammoError("space_wrong", sentence, remedy)
