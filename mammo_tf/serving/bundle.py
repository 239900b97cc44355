"""A bundle opened again: checked file by file, then asked for scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import checked_breast, refuse_empty
from mammo_tf.serving.answers import FAR
from mammo_tf.serving.bundle_place import DESCRIPTION, FORMAT, is_sealed, versions
from mammo_tf.serving.signatures import CUT, FLOAT_SIGNATURE, PNG_SIGNATURE
from mammo_tf.training import ModelCard
from mammo_tf.training.tasks.pieces import branch_columns

GRAPH = "saved_model.pb"
OLDER = (1,)
REMEDY = "Copy or export it again"


class Scored(NamedTuple):
    """What a model says of some pictures.

    Attributes:
        named: every output by its name in the bundle's contract, the first axis counts pictures.
    """

    named: Mapping[str, NDArray[np.float32]]

    @property
    def score(self) -> NDArray[np.float32]:
        """float32 `[pictures]`, in [0, 1]."""
        return self.named["score"]

    @property
    def heatmap(self) -> NDArray[np.float32] | None:
        """float32 `[pictures, map rows, map columns]`, class activation, or None where the network has none."""
        return self.named.get("heatmap")

    @property
    def mask(self) -> NDArray[np.float32] | None:
        """float32 `[pictures, rows, columns]`, probability of every prepared pixel, or None for other tasks."""
        return self.named.get("mask")

    def columns(self, number: int) -> dict[str, float]:
        """Of one picture, as far as it is said: `domain_distance` and `abstain` (0 or 1), `branch`, where one was
        chosen for it, and `distance_<branch>` of each."""
        said = {name: float(self.named[name][number]) for name in FAR if name in self.named}
        distances = self.named.get("distance")
        return said | (
            {} if distances is None else branch_columns(int(self.named["branch"][number]), distances[number])
        )


NOTHING = Scored({"score": np.zeros(0, np.float32)})


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what they were when it was written.

    Attributes:
        folder: of the version.
        card: what the model says of itself. What `score_float` needs before it is the `geometry` of its preprocessing.
        graph_preprocessing: what `score_png` does.
        description: all of `bundle.json`.
    """

    folder: Path
    card: ModelCard
    graph_preprocessing: Preprocessing
    description: dict[str, Any]
    _loaded: Any = field(repr=False)

    @property
    def preprocessing(self) -> Preprocessing:
        """The full one, from stored pixels to network input."""
        if self.card.preprocessing is None:
            raise MammoError("bundle_damaged", f"{self.folder} does not say how pictures are prepared", REMEDY)
        return self.card.preprocessing

    def score_png(self, pictures: Sequence[bytes]) -> Scored:
        """Scores encoded pictures; everything is done in the graph.

        Args:
            pictures: PNG files, grey, 8 or 16 bits, any size, bright is dense.

        Raises:
            MammoError: `png_broken` for what is not such a PNG (`png_in_graph`), naming the picture;
                `signature_missing` for a bundle that was exported without `serving_default`.
        """
        if not pictures:
            return NOTHING
        if PNG_SIGNATURE not in self.description["signatures"]:
            gap = "whose scores were not those measured" if self.description["gap"] else CUT
            sentence = f"{self.folder} was exported without {PNG_SIGNATURE}: {gap}"
            raise MammoError("signature_missing", sentence, "Prepare pictures and ask serving_float, as predict does")
        try:
            return self._run(PNG_SIGNATURE, png=tf.constant(list(pictures), tf.string))
        except tf.errors.InvalidArgumentError as error:
            said = re.search(r"assertion failed: \[([^];]*); ([^]]*)\]", error.message)
            if said is None:
                sentence = f"one of {len(pictures)} pictures is a broken PNG"
                raise MammoError("png_broken", sentence, "Send the whole file") from error
            raise MammoError("png_broken", said[1], said[2].replace("send", "Send", 1)) from error

    def score_float(self, pictures: ArrayLike, breast: ArrayLike | None = None) -> Scored:
        """Scores pictures after `preprocessing.geometry`, or patches or tiles of them.

        Args:
            pictures: `[pictures, rows, columns]` in [0, 1], bright is dense; rows and columns of the bundle. Patches
                and tiles are cut of pictures behind `preprocessing.whole_steps`.
            breast: bool `[pictures, rows, columns]`, breast masks of whole pictures; looked at where the graph needs
                them.

        Raises:
            MammoError: `size_differs`, `pixels_wrong` for values outside [0, 1]; `breast_missing`, `breast_wrong`.
        """
        values = np.asarray(pictures, np.float32)
        size = tuple(self.description["input_size"])
        if values.ndim != 3 or values.shape[1:] != size:
            wanted = ", ".join(map(str, size))
            raise MammoError("size_differs", f"pictures of shape {values.shape}; the bundle takes [pictures, {wanted}]")
        if values.size == 0:
            return NOTHING
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise MammoError("pixels_wrong", f"grey values run from {low:g} to {high:g}, not within [0, 1]")
        masks = breast_input(self.graph_preprocessing, values, breast)
        return self._run(FLOAT_SIGNATURE, picture=tf.constant(values), **masks)

    def _run(self, signature: str, **inputs: Any) -> Scored:
        outputs = self._loaded.signatures[signature](**inputs)
        return Scored({name: values.numpy() for name, values in outputs.items()})


def breast_input(
    preprocessing: Preprocessing, pictures: NDArray[np.float32], breast: ArrayLike | None
) -> dict[str, NDArray[np.bool_]]:
    """The second input of `serving_float`, `breast`, where there is one; else nothing.

    Args:
        preprocessing: of what is sent, as `signatures.served_preprocessing` has it.
        pictures: `[pictures, rows, columns]`.
        breast: their breast masks.

    Raises:
        MammoError: `breast_missing`; `breast_wrong` for another shape, other values than 0 and 1, or a whole picture
            without a breast.
    """
    if not preprocessing.needs_breast:
        return {}
    masks = checked_breast(breast, pictures.shape)
    refuse_empty(masks)
    return {"breast": masks}


def is_bundle(path: str | Path) -> bool:
    """Whether a folder looks like a version of a bundle, or like one with versions."""
    path = Path(path)
    return path.is_dir() and ((path / GRAPH).is_file() or bool(versions(path)))


def open_bundle(path: str | Path) -> Bundle:
    """Opens a bundle, after comparing the digest of every file.

    Args:
        path: a version's folder, or the folder of a name: its newest version.

    Raises:
        MammoError: those of `checked_bundle`.
    """
    folder, description = checked_bundle(path)
    return Bundle(
        folder=folder,
        card=ModelCard.from_json(description.get("card")),
        graph_preprocessing=Preprocessing.from_json(description["graph_preprocessing"]),
        description=description,
        _loaded=tf.saved_model.load(str(folder)),
    )


def checked_bundle(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """A bundle's folder and what `bundle.json` says, once every file is what was exported; the graph is not loaded.

    Args:
        path: as for `open_bundle`.

    Raises:
        MammoError: `bundle_missing`; `not_a_bundle` for a SavedModel without a description of ours; `bundle_damaged`
            for files that are missing or changed; `bundle_older`, `bundle_newer` for a description that this version
            cannot read.
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
    if not isinstance(description, dict) or "format" not in description:
        raise MammoError("bundle_damaged", f"{folder / DESCRIPTION} is not a description of a bundle", REMEDY)
    if description["format"] != FORMAT:
        sentence = f"{folder} is written in format {description['format']}, known is {FORMAT}"
        if description["format"] in OLDER:
            raise MammoError("bundle_older", sentence, "Export the model's .keras file again with mammo-tf export")
        raise MammoError("bundle_newer", sentence, "Install the mammo_tf that wrote it")
    if not is_sealed(description):
        raise MammoError("bundle_damaged", f"{folder / DESCRIPTION} is not what was exported", REMEDY)
    if GRAPH not in description.get("digests", {}):
        raise MammoError("bundle_damaged", f"{folder / DESCRIPTION} has no digest of {GRAPH}", REMEDY)
    for name, expected in description["digests"].items():
        if not (folder / name).is_file():
            raise MammoError("bundle_damaged", f"{folder / name} is not there", REMEDY)
        if digest(folder / name) != expected:
            raise MammoError("bundle_damaged", f"{folder / name} is not what was exported", REMEDY)
    in_graph = Preprocessing.from_json(description["graph_preprocessing"])
    if in_graph.needs_breast and not in_graph.finds_breast:
        sentence = f"{folder} harmonises patches or tiles by themselves, not the pictures that they are cut of"
        raise MammoError("bundle_older", sentence, "Export the model's .keras file again with mammo-tf export")
    return folder, description
