"""One way to ask a model for scores, whether it is a bundle, a `.keras` file or a run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import named_layers, weights_digest
from mammo_tf.models.winograd import suits
from mammo_tf.serving.bundle import Scored, is_bundle, open_bundle
from mammo_tf.serving.export import FLOAT_SIGNATURE, check_servable, serving_functions
from mammo_tf.training import load_model

RUN_MODEL = "model.keras"
FLIPS: tuple[tuple[int, ...], ...] = ((2,), (1,), (1, 2))  # left-right, up-down, both: axes of [batch, rows, columns]


@dataclass(frozen=True)
class Scorer:
    """A model that gives scores.

    Attributes:
        path: of the bundle's version or of the model file.
        preprocessing: the full one; pictures go through its `geometry` first.
        thresholds: operating points by name.
        facts: what the model file said of itself.
        weights: `models.weights_digest` of the network; empty for a bundle that does not tell.
        flips: whether the score is the mean over flips.
        score: float32 `[pictures, rows, columns]` in [0, 1] after `geometry` to `Scored`.
    """

    path: Path
    preprocessing: Preprocessing
    thresholds: dict[str, float]
    facts: dict[str, Any]
    weights: str
    flips: bool
    score: Callable[[NDArray[np.float32]], Scored] = field(repr=False)


def open_scorer(path: str | Path, flips: bool | None = None, winograd: bool = True) -> Scorer:
    """Opens a bundle (a version, or a name: its newest one), a `.keras` file, or a run folder (its `model.keras`).

    Args:
        path: of one of these.
        flips: the score is the mean over the picture as it is, left-right, up-down and both; by default
            as the model's facts say (`flips`). A bundle that was exported with flips does so anyway.
        winograd: whether a `.keras` file may compute convolutions of many channels by `models.with_winograd`; it does
            where TensorFlow sees no GPU. A bundle computes as it was exported.

    Raises:
        MammoError: `winograd_exported` where `winograd` is False and the bundle was exported with it; `model_missing`;
            those of `open_bundle`, `training.load_model` and `check_servable`.
    """
    path = Path(path)
    if path.is_dir() and (path / RUN_MODEL).is_file():
        path = path / RUN_MODEL
    if is_bundle(path):
        return _of_bundle(path, flips, winograd)
    if path.is_dir() or not path.exists():
        raise MammoError(
            "model_missing",
            f"{path} holds neither a bundle nor a {RUN_MODEL}" if path.is_dir() else f"the model {path} is not there",
            "Name a bundle (saved_models/NAME), a .keras file or a run folder",
        )
    return _of_model_file(path, flips, winograd)


def _of_bundle(path: Path, flips: bool | None, winograd: bool) -> Scorer:
    bundle = open_bundle(path)
    if bundle.description.get("winograd") and not winograd:
        remedy = "Export the model again without it, or score its .keras file"
        raise MammoError("winograd_exported", f"{bundle.folder} was exported with Winograd's convolutions", remedy)

    def averaged(pictures: NDArray[np.float32]) -> Scored:
        plain = bundle.score_float(pictures)
        mirrored = [bundle.score_float(np.flip(pictures, axes)).score for axes in FLIPS]
        return Scored(np.mean([plain.score, *mirrored], axis=0, dtype=np.float32), plain.heatmap)

    told = bundle.description
    score = averaged if flips and not told["flips"] else bundle.score_float
    return Scorer(
        path=bundle.folder,
        preprocessing=bundle.preprocessing,
        thresholds=bundle.thresholds,
        facts=told["facts"],
        weights=told.get("weights", ""),
        flips=bool(flips or told["flips"]),
        score=score,
    )


def _of_model_file(path: Path, flips: bool | None, winograd: bool) -> Scorer:
    model_file = load_model(path)
    preprocessing = check_servable(model_file)
    flips = bool(model_file.facts.get("flips")) if flips is None else flips
    winograd = winograd and not tf.config.list_physical_devices("GPU")
    functions, _ = serving_functions(model_file.model, preprocessing, flips, winograd)
    alone = winograd and any(suits(layer) for _, layer in named_layers(model_file.model))

    def asked(pictures: NDArray[np.float32]) -> Scored:
        outputs = functions[FLOAT_SIGNATURE](tf.constant(pictures, tf.float32))
        heatmap = outputs.get("heatmap")
        return Scored(outputs["score"].numpy(), None if heatmap is None else heatmap.numpy())

    def one_by_one(pictures: NDArray[np.float32]) -> Scored:
        """Winograd's way loses its gain at two pictures at once, and takes a gigabyte more."""
        if len(pictures) < 2:
            return asked(pictures)
        parts = [asked(pictures[number : number + 1]) for number in range(len(pictures))]
        maps = [part.heatmap for part in parts if part.heatmap is not None]
        return Scored(np.concatenate([part.score for part in parts]), np.concatenate(maps) if maps else None)

    return Scorer(
        path=path,
        preprocessing=preprocessing,
        thresholds=model_file.facts.get("thresholds", {}),
        facts=model_file.facts,
        weights=weights_digest(model_file.model),
        flips=flips,
        score=one_by_one if alone else asked,
    )
