"""The versions of a model on disk: which there are, whether one has changed, and one of them opened."""

from __future__ import annotations

from pathlib import Path

from mammo_tf.serving.bundle import GRAPH, checked_bundle
from mammo_tf.serving.bundle_place import DESCRIPTION
from mammo_tf.serving.saved_model import SavedModel
from mammo_tf.serving.warm_up_replay import warm_up


def version_folders(folder: Path) -> dict[int, Path]:
    """The versions of a model, by number, in order; of a folder that is a SavedModel itself the only one."""
    if (folder / GRAPH).is_file():
        return {int(folder.name) if is_number(folder.name) else 1: folder}
    if not folder.is_dir():
        return {}
    found = {int(path.name): path for path in folder.iterdir() if is_number(path.name) and path.is_dir()}
    return dict(sorted(found.items()))


def is_number(name: str) -> bool:
    """Whether a folder of this name is a version."""
    return name.isascii() and name.isdigit()


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a version's files: a copy that was not finished is tried again."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def opened(folder: Path) -> SavedModel:
    """A SavedModel, warmed up; a bundle of ours after the digest of every file was compared, held to its shapes.

    Raises:
        MammoError: those of `checked_bundle`, `model_broken`, `warm_up_failed`.
    """
    is_ours = (folder / DESCRIPTION).is_file()
    if is_ours:
        checked_bundle(folder)
    model = SavedModel(folder, exact_shapes=is_ours)
    warm_up(folder, model)
    return model
