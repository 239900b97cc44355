"""The start model: read, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path

import keras

from mammo_tf.errors import MammoError
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import read_legacy
from mammo_tf.training import Classification, ModelCard, ModelFile, Task, load_model

SAY_MEAN = "Convert a published file with mammo-tf import-legacy FILE.h5 --mean MEAN -o FILE.keras"


def load_start(path: str | Path) -> ModelFile:
    """The start model: a `.keras` file, a published Keras 2 `.h5`, or a run folder.

    A published file does not say what was subtracted from its pictures (52.18 where DDSM was trained on, 44.33 where
    INbreast), and nothing is assumed: it can be trained on, and it cannot be measured.

    Raises:
        MammoError: `file_missing`, `not_a_model`, and what `models.read_legacy` raises.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.keras"
    if path.suffix == ".h5":
        model = read_legacy(path).model
        return ModelFile(model, ModelCard(origin=path.name).sealed(model), published=True)
    return load_model(path)


def check_start(start: ModelFile, path: str | Path, task: Task) -> None:
    """Refuses a start model whose outputs are not the task's.

    Raises:
        MammoError: `start_unfit`.
    """
    try:
        task.check_network(start.model, f"the start model {path}")
    except MammoError as error:
        remedy = "Start from a run of the same task" + (
            ": a run folder of end2end_baseline, or a published whole-image .h5"
            if isinstance(task, Classification)
            else ""
        )
        raise MammoError("start_unfit", error.sentence, remedy) from error


def check_channels(start: ModelFile, preprocessing: Preprocessing) -> None:
    """Refuses preprocessing that gives another number of channels than the start model takes.

    Raises:
        MammoError: `channels_differ`.
    """
    channels = start.model.inputs[0].shape[-1]
    if channels != preprocessing.channels:
        raise MammoError(
            "channels_differ",
            f"the start model takes {channels} channels, and the pictures are prepared with {preprocessing.channels}",
            f"Set preparation.channels={channels}, or preparation.preset=start for a model that says how",
        )


def fitting(model: keras.Model, size: tuple[int, int], channels: int) -> bool:
    """Whether a model was built for pictures of this size (rows, columns)."""
    return tuple(model.inputs[0].shape[1:]) == (*size, channels)
