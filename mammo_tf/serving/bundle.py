"""A bundle opened again: checked file by file, then asked for scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.serving.export import DESCRIPTION, FLOAT_SIGNATURE, FORMAT, PNG_SIGNATURE, versions

GRAPH = "saved_model.pb"


class Scored(NamedTuple):
    """What a bundle says of some pictures.

    Attributes:
        score: float32 `[pictures]`, probability of the positive class.
        heatmap: float32 `[pictures, map rows, map columns]`, class activation, or None where the network has none.
    """

    score: NDArray[np.float32]
    heatmap: NDArray[np.float32] | None


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what they were when it was written.

    Attributes:
        folder: of the version.
        preprocessing: the full one, from stored pixels to network input; what `score_float` needs before it is its
            `geometry`.
        graph_preprocessing: what `score_png` does.
        thresholds: operating points by name.
        description: all of `bundle.json`.
    """

    folder: Path
    preprocessing: Preprocessing
    graph_preprocessing: Preprocessing
    thresholds: dict[str, float]
    description: dict[str, Any]
    _loaded: Any = field(repr=False)

    def score_png(self, pictures: Sequence[bytes]) -> Scored:
        """Scores encoded pictures; everything is done in the graph.

        Args:
            pictures: PNG files, grey, 8 or 16 bits, any size, bright is dense.

        Raises:
            MammoError: `png_broken`.
        """
        if not pictures:
            return Scored(np.zeros(0, np.float32), None)
        try:
            return self._run(PNG_SIGNATURE, png=tf.constant(list(pictures), tf.string))
        except tf.errors.InvalidArgumentError as error:
            sentence = f"one of {len(pictures)} pictures is no PNG, or broken"
            raise MammoError("png_broken", sentence, "Give PNG files of 8 or 16 bits, grey") from error

    def score_float(self, pictures: ArrayLike) -> Scored:
        """Scores pictures after `preprocessing.geometry`.

        Args:
            pictures: `[pictures, rows, columns]` in [0, 1], bright is dense; rows and columns of the bundle.

        Raises:
            MammoError: `size_differs`, `pixels_wrong` for values outside [0, 1].
        """
        values = np.asarray(pictures, np.float32)
        size = tuple(self.description["input_size"])
        if values.ndim != 3 or values.shape[1:] != size:
            wanted = ", ".join(map(str, size))
            raise MammoError("size_differs", f"pictures of shape {values.shape}; the bundle takes [pictures, {wanted}]")
        if values.size == 0:
            return Scored(np.zeros(0, np.float32), None)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise MammoError("pixels_wrong", f"grey values run from {low:g} to {high:g}, not within [0, 1]")
        return self._run(FLOAT_SIGNATURE, picture=tf.constant(values))

    def _run(self, signature: str, **inputs: Any) -> Scored:
        outputs = self._loaded.signatures[signature](**inputs)
        heatmap = outputs.get("heatmap")
        return Scored(outputs["score"].numpy(), None if heatmap is None else heatmap.numpy())


def is_bundle(path: str | Path) -> bool:
    """Whether a folder looks like a version of a bundle, or like one with versions."""
    path = Path(path)
    return path.is_dir() and ((path / GRAPH).is_file() or bool(versions(path)))


def open_bundle(path: str | Path) -> Bundle:
    """Opens a bundle, after comparing the digest of every file of the graph.

    Args:
        path: a version's folder, or the folder of a name: its newest version.

    Raises:
        MammoError: `bundle_missing`; `not_a_bundle` for a SavedModel without a description of ours; `bundle_damaged`
            for files that are missing or changed; `bundle_newer` for a description that this version cannot read.
    """
    path = Path(path)
    if not path.is_dir():
        raise MammoError("bundle_missing", f"the bundle {path} is not there", "Write one with mammo-tf export")
    folder = path
    if not any((path / known).is_file() for known in (GRAPH, DESCRIPTION)):
        numbers = versions(path)
        if not numbers:
            raise MammoError("bundle_missing", f"{path} holds no bundle", "Name a folder that mammo-tf export wrote")
        folder = path / str(numbers[-1])
    if not (folder / DESCRIPTION).is_file():
        remedy = "Export the model again with mammo-tf export"
        raise MammoError("not_a_bundle", f"{folder} has no {DESCRIPTION.as_posix()}", remedy)
    description = read_json(folder / DESCRIPTION)
    remedy = "Copy or export it again"
    if not isinstance(description, dict) or "format" not in description:
        raise MammoError("bundle_damaged", f"{folder / DESCRIPTION} is no description of a bundle", remedy)
    if description["format"] != FORMAT:
        sentence = f"{folder} is written in format {description['format']}, known is {FORMAT}"
        raise MammoError("bundle_newer", sentence, "Install the mammo_tf that wrote it")
    if GRAPH not in description.get("digests", {}):
        raise MammoError("bundle_damaged", f"{folder / DESCRIPTION} has no digest of {GRAPH}", remedy)
    for name, expected in description["digests"].items():
        if not (folder / name).is_file():
            raise MammoError("bundle_damaged", f"{folder / name} is not there", remedy)
        if digest(folder / name) != expected:
            raise MammoError("bundle_damaged", f"{folder / name} is not what was exported", remedy)
    return Bundle(
        folder=folder,
        preprocessing=Preprocessing.from_json(description["preprocessing"]),
        graph_preprocessing=Preprocessing.from_json(description["graph_preprocessing"]),
        thresholds=description["thresholds"],
        description=description,
        _loaded=tf.saved_model.load(str(folder)),
    )
