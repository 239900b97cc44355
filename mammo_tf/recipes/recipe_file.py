"""A recipe's file: Python of the user's own, run once, whose functions give recipes and search spaces."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.pipelines import find_recipe

MODULE = "mammo_tf_recipe"
Made = TypeVar("Made")


class RecipeFile:
    """The functions of a recipe file.

    Args:
        path: as `pipelines.find_recipe` takes it.

    Raises:
        MammoError: `file_missing`, `not_a_recipe`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = find_recipe(path)
        specification = importlib.util.spec_from_file_location(MODULE, self.path)
        if specification is None or specification.loader is None:
            sentence = f"{self.path} is not a Python file"
            raise MammoError("not_a_recipe", sentence, "mammo-tf recipes lists the package's own")
        module = importlib.util.module_from_spec(specification)
        sys.modules[MODULE] = module  # where dataclasses look for what an annotation means
        try:
            specification.loader.exec_module(module)
        except MammoError:
            raise
        except (Exception, SystemExit) as error:  # a recipe is the user's own code, and may raise anything
            raise MammoError("not_a_recipe", f"{self.path} cannot be run as a recipe: {_told(error)}") from error
        self.functions = {
            name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == MODULE
        }

    def made(self, name: str, kind: type[Made], noun: str) -> Made:
        """What a function of the file gives.

        Args:
            name: of the function, `-` for `_`.
            kind: what it must give.
            noun: what the function is called in messages, such as "variant".

        Raises:
            MammoError: `variant_unknown`, `not_a_recipe`.
        """
        function = self.functions.get(name.replace("-", "_"))
        if not callable(function):
            known = ", ".join(name for name in self.functions if not name.startswith("_")) or "none"
            raise MammoError("variant_unknown", f"{self.path} has no {noun} {name!r}", f"It has {known}")
        try:
            made = function()
        except MammoError:
            raise
        except (Exception, SystemExit) as error:  # as above
            raise MammoError("not_a_recipe", f"{self.path}: {name} fails: {_told(error)}") from error
        if not isinstance(made, kind):
            raise MammoError("not_a_recipe", f"{self.path}: {name} gives no {kind.__name__}")
        return made


def _told(error: BaseException) -> str:
    """What an exception says, or its name where it says nothing."""
    return str(error) or type(error).__name__
