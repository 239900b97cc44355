"""A run folder: claimed by one recipe, resumed by the same, never overwritten by another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mammo_tf import claims
from mammo_tf.claims import Kind
from mammo_tf.errors import MammoError
from mammo_tf.files import DAMAGED, read_json, write_json
from mammo_tf.recipes.environment import environment
from mammo_tf.recipes.recipe import FORMAT, Recipe

PREPARED, ENVIRONMENT = "prepared", "environment.json"
OWN = (
    "recipe.json", ENVIRONMENT, "log.csv", "checkpoints", "model.keras", "metrics.json", "comparison.json",
    "proof.json", "before", "figures", "masks", "report.html",
)  # fmt: skip


RUN = Kind(
    "recipe.json", "run", "another run", "other_run",
    "Name another folder with -o, or remove this one's run with --overwrite",
    damaged="Remove what does not belong to the run, and run again with --overwrite", beside=(PREPARED,),
)  # fmt: skip


@contextmanager
def claim(folder: Path, recipe: Recipe, asked: dict[str, str], overwrite: bool = False) -> Iterator[None]:
    """Makes the folder this recipe's, or finds that it is already, and locks it as long as the body runs.

    Args:
        folder: the run folder.
        recipe: what is run.
        asked: what decides the result next to the recipe: digests of the data and of the start model.
        overwrite: remove what another recipe left.

    Raises:
        MammoError: `recipe_older` for a run of version 0.1, `other_run` if the folder holds another recipe's run,
            `folder_exists` if it holds something else, `folder_busy` while another process runs in it.
    """
    wanted = {"recipe": _as_written(folder / RUN.file, recipe), "asked": asked}
    if (folder / RUN.file).is_file() and not overwrite:
        check_format(folder / RUN.file)
    make_room, begin_anew = partial(_make_room, folder, overwrite), partial(_begin_anew, folder, overwrite)
    with claims.claim(folder, RUN, wanted, make_room=make_room, begin_anew=begin_anew) as again:
        if not (again and _is_told(folder / ENVIRONMENT)):
            write_json(folder / ENVIRONMENT, environment())
        yield


def _is_told(path: Path) -> bool:
    """Whether a file of JSON is there and can be read."""
    try:
        read_json(path)
    except MammoError:
        return False
    return True


def _as_written(path: Path, recipe: Recipe) -> Any:
    """The recipe as JSON, as a folder has it that was written before a field was there whose default it has."""
    wanted = recipe.to_json()
    try:
        stored = read_json(path)["recipe"]
        return stored if Recipe.from_json(stored) == recipe else wanted
    except (MammoError, *DAMAGED):
        return wanted


def check_format(path: Path) -> Any:
    """What a run folder's `recipe.json` says, `recipe` and `asked`.

    Raises:
        MammoError: `file_missing`, `json_broken`, `not_a_run`, `recipe_older`.
    """
    try:
        stored = read_json(path)
    except MammoError as error:
        raise MammoError(error.code, error.sentence, "Run mammo-tf run again with --overwrite") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("recipe"), dict) or "asked" not in stored:
        raise MammoError("not_a_run", f"{path} is not what a run wrote", "Run mammo-tf run again with --overwrite")
    if stored["recipe"].get("format") != FORMAT:
        sentence = f"{path} was written by version 0.1, whose recipes had other fields"
        raise MammoError("recipe_older", sentence, "Run the recipe again into a new folder, or use --overwrite")
    return stored


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Tells a file of a run that cannot be made sense of in a line, while the body reads it.

    Raises:
        MammoError: `run_damaged`; what the body raises, with a remedy.
    """
    try:
        yield
    except MammoError as error:
        remedy = error.remedy or "Run mammo-tf run again, which writes it anew"
        raise MammoError(error.code, error.sentence, remedy) from error
    except DAMAGED as error:
        sentence = f"{path} is not what a run wrote ({error!r})"
        raise MammoError("run_damaged", sentence, "Remove it and run mammo-tf run again") from error


def _make_room(folder: Path, overwrite: bool) -> bool:
    """Removes another recipe's run if it has not begun to train, or if that is asked for."""
    begun = any((folder / name).exists() for name in ("checkpoints", "model.keras"))
    if begun and not overwrite:
        return False
    for item in filter(_is_own, folder.iterdir()):
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()
    return True


def _begin_anew(folder: Path, overwrite: bool) -> bool:
    """As `_make_room`, of a run whose recipe is lost, and only where nothing else lies in the folder."""
    others = (item for item in folder.iterdir() if item.name not in (PREPARED, claims.LOCK))
    return all(map(_is_own, others)) and _make_room(folder, overwrite)


def _is_own(item: Path) -> bool:
    return item.name in OWN or item.name.startswith(("predictions_", "segmentations_"))
