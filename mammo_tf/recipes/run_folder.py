"""A run folder: claimed by one recipe, resumed by the same, never overwritten by another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, read_json, write_json
from mammo_tf.recipes.environment import environment
from mammo_tf.recipes.recipe import FORMAT, Recipe

PREPARED = "prepared"
OWN = (
    "recipe.json", "environment.json", "log.csv", "checkpoints", "model.keras", "metrics.json", "comparison.json",
    "before", "figures", "report.html",
)  # fmt: skip


def claim(folder: Path, recipe: Recipe, asked: dict[str, str], overwrite: bool = False) -> None:
    """Makes the folder this recipe's, or finds that it is already.

    Args:
        folder: the run folder.
        recipe: what is run.
        asked: what decides the result beside the recipe: digests of the data and of the start model.
        overwrite: remove what another recipe left.

    Raises:
        MammoError: `recipe_older` for a run of version 0.1, `other_run` if the folder holds another recipe's run,
            `folder_exists` if it holds something else.
    """
    path = folder / "recipe.json"
    wanted = {"recipe": recipe.to_json(), "asked": asked}
    if path.is_file():
        if read_json(path) == wanted:
            return
        if not overwrite:
            check_format(path)
        begun = any((folder / name).exists() for name in ("checkpoints", "model.keras"))
        if begun and not overwrite:
            changed = _difference(read_json(path), wanted)
            raise MammoError(
                "other_run", f"{folder} holds another run ({changed} differs)",
                "Name another folder with -o, or remove this one's run with --overwrite",
            )  # fmt: skip
        for item in folder.iterdir():
            ours = item.name in OWN or item.name.startswith("predictions_")
            if ours and item.is_dir():
                shutil.rmtree(item)
            elif ours:
                item.unlink()
    elif folder.is_dir() and any(item.name != PREPARED for item in folder.iterdir()):
        raise MammoError("folder_exists", f"{folder} is not empty and holds no run", "Name another folder with -o")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "environment.json", environment())
    write_json(path, wanted)


def check_format(path: Path) -> Any:
    """What a run folder's `recipe.json` says, `recipe` and `asked`.

    Raises:
        MammoError: `not_a_run`, `recipe_older`.
    """
    stored = read_json(path)
    if not isinstance(stored, dict) or not {"recipe", "asked"} <= set(stored):
        raise MammoError("not_a_run", f"{path} is not what a run wrote", "Run mammo-tf run again")
    if stored["recipe"].get("format") != FORMAT:
        sentence = f"{path} was written by version 0.1, whose recipes had other fields"
        raise MammoError("recipe_older", sentence, "Run the recipe again into a new folder, or use --overwrite")
    return stored


def _difference(found: Any, wanted: Any, where: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return _difference(found.get(key), wanted[key], f"{where}.{key}")
    return where.removeprefix(".recipe").removeprefix(".").removeprefix("asked.") or "the recipe"
