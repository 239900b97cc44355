"""One way to ask a model for scores, whether it is a bundle, a `.keras` file or a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import named_layers
from mammo_tf.models.flips import FLIPS
from mammo_tf.models.winograd import suits
from mammo_tf.serving.bundle import Scored, breast_input, is_bundle, open_bundle
from mammo_tf.serving.signatures import (
    FLOAT_SIGNATURE,
    check_servable,
    served_card,
    serving_functions,
)
from mammo_tf.training import ModelCard, load_model

RUN_MODEL = "model.keras"


class Score(Protocol):
    """Pictures to scores.

    Takes float32 `[pictures, rows, columns]` in [0, 1] after `geometry`, and their breast masks, bool of the same
    shape, which are looked at where the preprocessing `needs_breast`; of a model of patches or tiles these, cut of
    pictures behind `whole_steps`, and no mask. Errors as `Bundle.score_float`.
    """

    def __call__(self, pictures: NDArray[np.float32], breast: ArrayLike | None = None) -> Scored: ...


@dataclass(frozen=True)
class Scorer:
    """A model that gives scores.

    Attributes:
        path: of the bundle's version or of the model file.
        preprocessing: the full one; pictures go through its `geometry` first.
        card: what the model says of itself, `flips` as it scores here.
        score: pictures, and breast masks where they are needed, to `Scored`; of a model of patches (`card.patch`) or
            tiles (`card.tiling`) it takes these.
        score_encoded: PNG files to `Scored`, where whoever answers prepares pictures itself; else None.
    """

    path: Path
    preprocessing: Preprocessing
    card: ModelCard
    score: Score = field(repr=False)
    score_encoded: Callable[[Sequence[bytes]], Scored] | None = field(default=None, repr=False)


def open_scorer(path: str | Path, flips: bool | None = None, winograd: bool = True) -> Scorer:
    """Opens a bundle (a version, or a name: its newest one), a `.keras` file, or a run folder (its `model.keras`).

    Args:
        path: of one of these.
        flips: the score is the mean over the picture as it is, left-right, up-down and both; by default
            as the model's card says. A bundle that was exported with flips does so anyway. Asked of one that was not,
            pictures are mirrored in front of `intensity`, in a file behind it: the bands of a mirrored picture are of a
            pyramid that starts at the other edge, so that scores behind `contrast_bands` differ by about 1e-4.
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
        remedy = "Export the model again with --no-winograd, or score its .keras file"
        raise MammoError("winograd_exported", f"{bundle.folder} was exported with Winograd's convolutions", remedy)

    card = bundle.card

    def averaged(pictures: NDArray[np.float32], breast: ArrayLike | None = None) -> Scored:
        def version(axes: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
            mask = None if breast is None else np.flip(breast, axes)
            return dict(bundle.score_float(np.flip(pictures, axes), mask).named)

        versions = [version(axes) for axes in ((), *FLIPS.values())]
        found = dict(versions[0])  # a heat map is that of the picture as it is
        if "mask" in found:
            axes = [(), *FLIPS.values()]
            found["mask"] = _mean([np.flip(one["mask"], by) for one, by in zip(versions, axes, strict=True)])
            found["score"] = found["mask"].max(axis=(1, 2))
        else:
            found["score"] = _mean([one["score"] for one in versions])
        return Scored(found)

    score = averaged if flips and not card.flips else bundle.score_float
    asked = replace(card, flips=bool(flips or card.flips))
    return Scorer(path=bundle.folder, preprocessing=bundle.preprocessing, card=asked, score=score)


def _mean(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.mean(parts, axis=0, dtype=np.float32)


def _of_model_file(path: Path, flips: bool | None, winograd: bool) -> Scorer:
    model_file = load_model(path)
    preprocessing = check_servable(model_file)
    card = served_card(model_file, None, flips)
    winograd = winograd and not tf.config.list_physical_devices("GPU")
    functions, _ = serving_functions(model_file.model, card, preprocessing, winograd)
    alone = winograd and any(suits(layer) for _, layer in named_layers(model_file.model))

    def asked(pictures: NDArray[np.float32], breast: ArrayLike | None = None) -> Scored:
        masks = breast_input(preprocessing, pictures, breast)
        outputs = functions[FLOAT_SIGNATURE](tf.constant(pictures, tf.float32), **masks)
        return Scored({name: values.numpy() for name, values in outputs.items()})

    def one_by_one(pictures: NDArray[np.float32], breast: ArrayLike | None = None) -> Scored:
        """Winograd's way loses its gain at two pictures at once, and takes a gigabyte more."""
        if len(pictures) < 2:
            return asked(pictures, breast)
        masks = breast_input(preprocessing, pictures, breast).get("breast")
        parts = [
            asked(pictures[one : one + 1], None if masks is None else masks[one : one + 1]).named
            for one in range(len(pictures))
        ]
        return Scored({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    whole = card.preprocessing or preprocessing
    return Scorer(path=path, preprocessing=whole, card=card, score=one_by_one if alone else asked)
