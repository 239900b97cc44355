"""A run folder: claimed by one recipe, resumed by the same, never overwritten by another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mammo_tf import files
from mammo_tf.files import Kind, write_json
from mammo_tf.recipes.environment import environment
from mammo_tf.recipes.recipe import Recipe

PREPARED, ENVIRONMENT = "prepared", "environment.json"
OWN = (
    "recipe.json", ENVIRONMENT, "log.csv", "checkpoints", "model.keras", "metrics.json", "comparison.json",
    "before", "figures", "report.html",
)  # fmt: skip


RUN = Kind(
    "recipe.json", "run", "another run", "other_run",
    "Name another folder with -o, or remove this one's run with --overwrite", beside=(PREPARED,),
)  # fmt: skip


@contextmanager
def claim(folder: Path, recipe: Recipe, asked: dict[str, str], overwrite: bool = False) -> Iterator[None]:
    """Makes the folder this recipe's, or finds that it is already, and locks it as long as the body runs.

    Args:
        folder: the run folder.
        recipe: what is run.
        asked: what decides the result beside the recipe: digests of the data and of the start model.
        overwrite: remove what another recipe left.

    Raises:
        MammoError: `other_run` if the folder holds another recipe's run, `folder_exists` if it holds something else,
            `folder_busy` while another process runs in it.
    """
    wanted = {"recipe": recipe.to_json(), "asked": asked}
    with files.claim(folder, RUN, wanted, make_room=partial(_make_room, folder, overwrite)) as again:
        if not (again and (folder / ENVIRONMENT).is_file()):
            write_json(folder / ENVIRONMENT, environment())
        yield


def _make_room(folder: Path, overwrite: bool) -> bool:
    """Removes another recipe's run if it has not begun to train, or if that is asked for."""
    begun = any((folder / name).exists() for name in ("checkpoints", "model.keras"))
    if begun and not overwrite:
        return False
    for item in folder.iterdir():
        ours = item.name in OWN or item.name.startswith("predictions_")
        if ours and item.is_dir():
            shutil.rmtree(item)
        elif ours:
            item.unlink()
    return True
