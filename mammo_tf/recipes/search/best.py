"""The best trial as a recipe file of its own: the file that was searched, and behind it what the search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.fields import set_fields
from mammo_tf.files import atomic_path
from mammo_tf.recipes.recipe import Recipe, load_recipe
from mammo_tf.recipes.search.search import Ground
from mammo_tf.recipes.search.space import Json, with_values
from mammo_tf.recipes.search.trial_log import Trial
from mammo_tf.recipes.search.trials import shortened
from mammo_tf.recipes.smoke_recipe import smoke

FILE = """{comment}
{source}


_searched = {variant}


def recipe():
    \"\"\"{about}\"\"\"
    from mammo_tf.recipes.search.best import found

    return found(
        _searched(),
        name={name!r},
        settings={settings},
        smoked={smoked},
        values={values},
        epochs={epochs},
    )
"""


@dataclass(frozen=True)
class Origin:
    """What was searched, as the command named it.

    Attributes:
        path: the recipe's file.
        variant: which function of it.
        settings: of `--set`.
        smoked: whether it was made small by `--smoke`.
    """

    path: Path
    variant: str = "recipe"
    settings: Sequence[tuple[str, str]] = ()
    smoked: bool = False


def searched(recipe: Recipe, settings: Sequence[tuple[str, str]] = (), smoked: bool = False) -> Recipe:
    """The recipe that is searched: what a file gave, made small if that is asked for, with `--set` settings.

    Raises:
        MammoError: as `fields.set_fields`.
    """
    begun = smoke(recipe) if smoked else recipe
    return set_fields(begun, [(begun.path(name), text) for name, text in settings])


def found(
    recipe: Recipe,
    name: str,
    settings: Sequence[tuple[str, str]],
    smoked: bool,
    values: Mapping[str, Json],
    epochs: int | None,
) -> Recipe:
    """What a search found: the recipe that was searched with the values of a trial.

    Args:
        recipe: as its file gives it.
        name: of the new one.
        settings, smoked: see `searched`.
        values: field, as `--set` has it, -> value.
        epochs: how many were trained; None for all.

    Raises:
        MammoError: as `fields.set_fields`.
    """
    changed = replace(with_values(searched(recipe, settings, smoked), values), name=name)
    return changed if epochs is None else shortened(changed, epochs)


def write_best(ground: Ground, trial: Trial, origin: Origin, about: str, path: Path) -> None:
    """Writes the recipe file of a trial; whole or not there, and only if it gives the trial's recipe.

    Args:
        ground: of the search.
        trial: the best.
        origin: what was searched.
        about: a line on what was found.
        path: of the new file.

    Raises:
        MammoError: `best_differs`.
    """
    wanted = ground.recipe_of(trial.begun)
    values = {name: ground.space.fields[name].value(label) for name, label in trial.begun.labels.items()}
    text = FILE.format(
        comment=f"# {about}\n# Its values stand at the end, in the function `recipe`; what was searched stands before.",
        source=origin.path.read_text(encoding="utf-8").rstrip(),
        variant=origin.variant.replace("-", "_"),
        about=about.replace("\\", "/").replace('"', "'"),
        name=wanted.name,
        settings=_literal(origin.settings),
        smoked=origin.smoked,
        values=_literal(values),
        epochs=trial.begun.epochs,
    )
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")
        made = load_recipe(beside)
        if made.to_json() != wanted.to_json():
            sentence = f"{origin.path} does not give the recipe that was searched when it lies in another folder"
            raise MammoError("best_differs", sentence, f"The best trial is {trial.name}: its recipe.json tells all")


def _literal(values: Mapping[str, Json] | Sequence[tuple[str, str]]) -> str:
    """Python of the values, one a line, indented as an argument."""
    if not values:
        return "{}" if isinstance(values, Mapping) else "[]"
    ends, lines = "{}" if isinstance(values, Mapping) else "[]", []
    for one in values.items() if isinstance(values, Mapping) else values:
        lines.append(f"{one[0]!r}: {one[1]!r}" if isinstance(values, Mapping) else f"{tuple(one)!r}")
    inside = "".join(f"            {line},\n" for line in lines)
    return f"{ends[0]}\n{inside}        {ends[1]}"
