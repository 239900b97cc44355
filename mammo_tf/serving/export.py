"""A model to a bundle: a SavedModel from encoded pictures to named outputs, and next to it what is known of it.

Signatures:

- `serving_default`: `png`, string `[batch]`, PNG bytes, grey, 8 or 16 bits, any size. Decodes (`png_in_graph`: what
  `predict` refuses is refused), then runs `geometry`, `intensity` and the network.
- `serving_float`: `picture`, float32 `[batch, rows, columns]` in [0, 1], after `geometry`. Runs `intensity` and the
  network. Where a step of `intensity` needs the breast (`Preprocessing.needs_breast`), it also takes `breast`, bool
  `[batch, rows, columns]`, the mask that `geometry` hands on. `serving_default` then finds the breast in the graph.

A model of patches or tiles is served these. Steps that run on whole pictures before they are cut
(`Preprocessing.whole_steps`) are in neither signature: who asks runs them first. `bundle.json` lists them under
`whole_steps`, and such a bundle has `serving_float` alone.

Outputs of both: those that the task names, `score` float32 `[batch]` first. A classifier has `heatmap` float32
`[batch, map rows, map columns]` where it has a class activation map (its mean plus the difference of the biases is the
logit of the score), a network for segmentation `mask` float32 `[batch, rows, columns]`, the probability of every pixel.
A batch of no picture has no score.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mammo_tf.data import graph_preprocessing
from mammo_tf.data.graph_checks import held
from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import digest, disk_errors, source_revision, write_json
from mammo_tf.imaging.geometry_steps import Patch
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import named_layers, with_winograd
from mammo_tf.models.flips import FLIPS
from mammo_tf.serving.png_in_graph import decode_png
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.signature_gap import SignatureGap, measure_gap
from mammo_tf.training import Classification, ModelCard, ModelFile, Task, Threshold

FORMAT = 2
DESCRIPTION = Path("assets.extra") / "bundle.json"
PNG_SIGNATURE, FLOAT_SIGNATURE = "serving_default", "serving_float"
CUT = "a step runs on whole pictures before patches or tiles are cut of them"
Tensor = Any


def export_bundle(
    model_file: ModelFile,
    root: str | Path = "saved_models",
    name: str = "end2end",
    thresholds: Sequence[Threshold] | None = None,
    flips: bool | None = None,
    winograd: bool | None = None,
    validation: Sequence[Candidate] = (),
    allow_gap: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes `root/name/<version>/`, version being the next whole number; whole or not there.

    Variables are stored once. Exports at the same time get versions of their own.

    Args:
        model_file: a model and its card, as `training.load_model` gives it.
        root: folder of all bundles.
        name: of the model, as TensorFlow Serving is told; letters, digits, `_`, `-` and `.`.
        thresholds: operating points, by level; by default those of the card.
        flips: outputs are the mean over the picture as it is, left-right, up-down and both; four times the work; by
            default as the card says. A heat map is that of the picture as it is.
        winograd: compute convolutions of many channels by `models.with_winograd`: the same scores to 1e-6 in less time
            on a CPU, in plain operations that every loader of SavedModels has. False for a server with a GPU; by
            default True where TensorFlow sees no GPU. `bundle.json` says which.
        validation: pictures of validation, on which both signatures are compared (`signature_gap`). What was found
            stands in `bundle.json`; nothing, where there are no pictures.
        allow_gap: write `serving_default` even where its scores are not those that were measured. Thresholds then say
            that they are for `serving_float` alone.
        say: is told the gap.

    Returns:
        The version's folder.

    Raises:
        MammoError: `preprocessing_missing`, `size_open` or `size_differs` where the preprocessing does not end in the
            size that the model takes, `outputs_wrong` for a model whose outputs are not its task's, `scores_random` for
            one that would give the same picture another score the next time, `name_wrong`, `disk_full`, `read_only`.
    """
    if (
        not name
        or set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
        or name[0] == "."
    ):
        raise MammoError("name_wrong", f"{name!r} is not a name for a model", "Take letters, digits, _ and -")
    preprocessing = check_servable(model_file)
    check_repeatable(model_file.model)
    card = served_card(model_file, thresholds, flips)
    if winograd is None:
        winograd = not tf.config.list_physical_devices("GPU")
    signatures, variables = serving_functions(
        model_file.model, task_of(model_file.card), preprocessing, card.flips, winograd
    )
    ahead = whole_steps(card)
    if ahead:
        del signatures[PNG_SIGNATURE]
    pictures = () if _sees_pieces(card) else validation  # whole ones, which a model of pieces does not look at
    gap = None
    if PNG_SIGNATURE in signatures:
        gap = _gap(signatures, preprocessing, pictures, card.threshold("image"), say)
    else:
        say(f"the bundle has no {PNG_SIGNATURE}: {CUT}")
    if PNG_SIGNATURE not in signatures or (gap is not None and gap.is_large):
        card = replace(card, thresholds=tuple(replace(one, signature=FLOAT_SIGNATURE) for one in card.thresholds))
    if gap is not None and gap.is_large and not allow_gap:
        say("that is too much: the bundle has no serving_default; --allow-gap puts it in nevertheless")
        del signatures[PNG_SIGNATURE]
    described = {
        "format": FORMAT,
        "name": name,
        "input_size": list(preprocessing.size or ()),
        "card": card.to_json(),
        "whole_steps": ahead,
        "graph_preprocessing": preprocessing.to_json(),
        "winograd": winograd,
        "gap": None if gap is None else to_json(gap),
        "signatures": {key: _described(function) for key, function in signatures.items()},
        "versions": {package: installed_version(package) for package in ("mammo_tf", "tensorflow", "keras")},
        "revision": source_revision(),
    }
    with _next_version(Path(root) / name) as place:
        try:
            _write(place.folder, signatures, variables, described)
        except tf.errors.ResourceExhaustedError as error:
            raise MammoError("disk_full", f"no space left to write {root}", "Free some space, run again") from error
    return place.folder


def _write(folder: Path, signatures: dict[str, Any], variables: list[tf.Variable], described: dict[str, Any]) -> None:
    """The SavedModel, then its description with the digest of every file."""
    module = tf.Module()
    module.variables_once = variables  # a module that holds the Keras model too would write each of them twice
    tf.saved_model.save(module, str(folder), signatures=signatures)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): digest(path) for path in files}
    write_json(folder / DESCRIPTION, {**described, "digests": digests})


def _gap(
    signatures: dict[str, Any],
    preprocessing: Preprocessing,
    validation: Sequence[Candidate],
    threshold: float | None,
    say: Callable[[str], None],
) -> SignatureGap | None:
    gap = measure_gap(signatures, preprocessing, validation, threshold) if validation else None
    why = f"none of {len(validation)} validation images can be read" if validation else "no validation images are there"
    unknown = f"how far serving_default is from the full preprocessing is unknown: {why} (--data names them)"
    say(unknown if gap is None else gap.words)
    return gap


def task_of(card: ModelCard) -> Task:
    """The card's task; a classification where the card does not say, as for files of others."""
    return card.task or Classification()


def served_card(model_file: ModelFile, thresholds: Sequence[Threshold] | None, flips: bool | None) -> ModelCard:
    """The card of a model as it will be served; arguments as for `export_bundle`.

    Its preprocessing is that of what is sent, with the steps that whoever asks runs on whole pictures; of a model that
    sees tiles it stays that of the picture which whoever asks cuts into tiles.
    """
    card = model_file.card
    return replace(
        card,
        task=task_of(card),
        thresholds=card.thresholds if thresholds is None else tuple(thresholds),
        flips=card.flips if flips is None else flips,
        preprocessing=card.preprocessing if card.tiling is not None else _of_what_is_sent(card),
    ).sealed(model_file.model)


def served_preprocessing(card: ModelCard) -> Preprocessing | None:
    """From what is sent to the network's input: to a model of patches or tiles, these, behind `whole_steps`."""
    found = _of_what_is_sent(card)
    return found.for_pieces() if found is not None and _sees_pieces(card) else found


def whole_steps(card: ModelCard) -> list[dict[str, Any]]:
    """What whoever asks a model of patches or tiles runs on whole pictures before it cuts them, as JSON; else empty."""
    if card.preprocessing is None or not _sees_pieces(card):
        return []
    return card.preprocessing.to_json()["intensity"][: len(card.preprocessing.whole_steps)]


def _sees_pieces(card: ModelCard) -> bool:
    return card.patch is not None or card.tiling is not None


def _of_what_is_sent(card: ModelCard) -> Preprocessing | None:
    """The preprocessing with the geometry of what is sent, a picture or a piece of one; all steps behind it."""
    if card.preprocessing is None:
        return None
    if card.patch is not None:
        patch = Patch(card.patch.rows, card.patch.columns, card.patch.pixels)
    elif card.tiling is not None:
        patch = Patch(card.tiling.rows, card.tiling.columns)
    else:
        return card.preprocessing
    return replace(card.preprocessing, geometry_steps=(patch,))


def check_servable(model_file: ModelFile) -> Preprocessing:
    """The preprocessing of a model that gives scores for pictures.

    Raises:
        MammoError: `preprocessing_missing`, `size_open`, `size_differs`, `outputs_wrong`.
    """
    preprocessing, model = served_preprocessing(model_file.card), model_file.model
    if preprocessing is None:
        raise MammoError(
            "preprocessing_missing",
            "the model file does not say how pictures are prepared for it",
            "Write it with mammo_tf.training.save_model, or convert a published file: mammo-tf import-legacy --mean",
        )
    if preprocessing.size is None:
        raise MammoError("size_open", "the preprocessing leaves pictures of different sizes", "End it in resize or fit")
    task_of(model_file.card).check_network(model, f"the model {model.name}")
    given = (*preprocessing.size, preprocessing.channels)
    taken = tuple(model.inputs[0].shape[1:])
    if any(size not in (None, ours) for size, ours in zip(taken, given, strict=True)):
        raise MammoError("size_differs", f"the model takes {taken}, its preprocessing gives {given}")
    return preprocessing


def check_repeatable(model: keras.Model) -> None:
    """Refuses a model with a layer that says that it is `random_at_inference`.

    Raises:
        MammoError: `scores_random`.
    """
    random = [path for path, layer in named_layers(model) if getattr(layer, "random_at_inference", False)]
    if random:
        raise MammoError(
            "scores_random",
            f"the layer {random[0]} of {model.name} draws at inference, so a picture's score differs from time to time",
            "Export it with another policy: network.test_policy argmax or expectation (models.with_test_policy)",
        )


def serving_functions(
    model: keras.Model, task: Task, preprocessing: Preprocessing, flips: bool, winograd: bool
) -> tuple[dict[str, Any], list[tf.Variable]]:
    """The functions behind the signatures, and the variables that they read, each once.

    Args:
        model, preprocessing: as `check_servable` lets them through, without `whole_steps` for patches and tiles.
        task: names the outputs.
        flips, winograd: see `export_bundle`.

    Returns:
        By name of the signature, functions that give a dictionary of the outputs: of one tensor, `serving_float` of
        picture and breast where the preprocessing `needs_breast`.
    """
    network = task.serving_network(model)
    if winograd:
        network = with_winograd(network)
    named = {"picture": tf.float32, "breast": tf.bool} if preprocessing.needs_breast else {"picture": tf.float32}
    inputs = [tf.TensorSpec([None, *(preprocessing.size or (None, None))], kind, name) for name, kind in named.items()]

    def scored(pictures: Tensor, breasts: Tensor | None = None) -> dict[str, Tensor]:
        """Of no picture: no score. A convolution refuses an empty batch, so it is given a black one then."""
        count = tf.shape(pictures)[0]
        one = [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0]]
        masks = None if breasts is None else tf.pad(breasts, one)
        values = graph_preprocessing.intensity(preprocessing, tf.pad(pictures, one), masks)
        own, *further = tf.nest.flatten(network(values, training=False))
        if flips:
            mirrored = [own, *(back(values, axes) for axes in FLIPS.values())]
            own = tf.add_n(mirrored) / len(mirrored)
        return {name: output[:count] for name, output in task.named_outputs([own, *further]).items()}

    def back(values: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The network's own output on mirrored pictures; one that is a picture itself is mirrored back."""
        given = tf.nest.flatten(network(tf.reverse(values, axes), training=False))[0]
        return tf.reverse(given, axes) if given.shape.rank == 4 else given

    def prepared(numbered: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        png, number = numbered
        return graph_preprocessing.geometry(preprocessing, decode_png(png, number))[: len(inputs)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="png")])
    def serve_png(png: Tensor) -> dict[str, Tensor]:
        one = tuple(tf.TensorSpec(spec.shape[1:], spec.dtype) for spec in inputs)
        return scored(*tf.map_fn(prepared, (png, tf.range(tf.size(png))), fn_output_signature=one))

    @tf.function(input_signature=inputs)
    def serve_float(picture: Tensor, breast: Tensor | None = None) -> dict[str, Tensor]:
        if breast is not None:
            breast = held(breast, tf.reduce_all(tf.reduce_any(breast, axis=(1, 2))), "a breast mask is empty")
        return scored(picture, breast)

    signatures = {PNG_SIGNATURE: serve_png, FLOAT_SIGNATURE: serve_float}
    return signatures, list({id(variable.value): variable.value for variable in network.variables}.values())


def _described(function: Any) -> dict[str, dict[str, Any]]:
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in function.input_signature}
    return {
        side: {key: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for key, spec in named.items()}
        for side, named in (("inputs", inputs), ("outputs", concrete.structured_outputs))
    }


class _Place:
    """Where a version is written; `folder` is next to the others first, and the version's own in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@contextmanager
def _next_version(parent: Path) -> Iterator[_Place]:
    """A hidden folder to fill, renamed to the next free version; removed if the body fails."""
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=parent, prefix=".exporting."))
        try:
            place = _Place(beside)
            yield place
            beside.chmod(parent.stat().st_mode & 0o777)
            number = max(versions(parent), default=0) + 1
            while True:
                place.folder = parent / str(number)
                try:
                    beside.rename(place.folder)
                    return
                except OSError as error:  # another export took the number in between
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        raise
                    number += 1
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def versions(parent: Path) -> list[int]:
    """The versions of a bundle, in order."""
    return sorted(int(path.name) for path in parent.iterdir() if path.name.isascii() and path.name.isdigit())
