"""A run folder: claimed by one recipe, resumed by the same, never overwritten by another."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, read_json, source_revision, write_json
from mammo_tf.recipes.recipe import Recipe

PREPARED = "prepared"
OWN = (
    "recipe.json", "environment.json", "log.csv", "checkpoints", "model.keras", "metrics.json", "comparison.json",
    "before", "figures", "report.html",
)  # fmt: skip
PACKAGES = ("mammo_tf", "tensorflow", "keras", "numpy", "opencv-python-headless", "pydicom", "scikit-learn")


def claim(folder: Path, recipe: Recipe, asked: dict[str, str], overwrite: bool = False) -> None:
    """Makes the folder this recipe's, or finds that it is already.

    Args:
        folder: the run folder.
        recipe: what is run.
        asked: what decides the result beside the recipe: digests of the data and of the start model.
        overwrite: remove what another recipe left.

    Raises:
        MammoError: `other_run` if the folder holds another recipe's run, `folder_exists` if it holds something else.
    """
    path = folder / "recipe.json"
    wanted = {"recipe": recipe.to_json(), "asked": asked}
    if path.is_file():
        if read_json(path) == wanted:
            return
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


def _difference(found: Any, wanted: Any, where: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return _difference(found.get(key), wanted[key], f"{where}.{key}")
    return where.removeprefix(".recipe").removeprefix(".").removeprefix("asked.") or "the recipe"


def environment() -> dict[str, Any]:
    """What a bug report needs: versions, machine, devices, revision of the source tree where there is one."""
    import tensorflow as tf

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": versions,
        "threads": _threads(tf),
        "devices": [f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices()],
        "revision": source_revision(),
        "command": " ".join(["mammo-tf", *sys.argv[1:]]),
    }


def _threads(tf: Any) -> dict[str, int]:
    """How many threads TensorFlow adds numbers with: that changes the order, and a long training magnifies it."""
    cores = len(os.sched_getaffinity(0))
    return {
        "intra_op": _asked("INTRAOP") or tf.config.threading.get_intra_op_parallelism_threads() or cores,
        "inter_op": _asked("INTEROP") or tf.config.threading.get_inter_op_parallelism_threads() or cores,
    }


def _asked(which: str) -> int:
    text = os.environ.get(f"TF_NUM_{which}_THREADS", "")
    return int(text) if text.isdigit() else 0
