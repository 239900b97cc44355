"""The functions behind a model's signatures, for bundles and for `.keras` files that are asked for scores.

- `serving_default`: `png`, string `[batch]`, PNG bytes, grey, 8 or 16 bits, any size. Decodes (`png_in_graph`: what
  `predict` refuses is refused), then runs `geometry`, `intensity` and the network.
- `serving_float`: `picture`, float32 `[batch, rows, columns]` in [0, 1], after `geometry`. Runs `intensity` and the
  network. Where a step of `intensity` needs the breast (`Preprocessing.needs_breast`), it also takes `breast`, bool
  `[batch, rows, columns]`, the mask that `geometry` hands on. `serving_default` then finds the breast in the graph.

A model of patches or tiles is served these. Steps that run on whole pictures before they are cut
(`Preprocessing.whole_steps`) are in neither signature: who asks runs them first.

Outputs of both: those that the task names, `score` float32 `[batch]` first. A classifier has `heatmap` float32
`[batch, map rows, map columns]` where it has a class activation map (its mean plus the difference of the biases is the
logit of the score), a network for segmentation `mask` float32 `[batch, rows, columns]`, the probability of every pixel.
What the card says beyond is in `answers`. A batch of no picture has no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from mammo_tf.data import graph_preprocessing
from mammo_tf.data.graph_checks import held
from mammo_tf.errors import MammoError
from mammo_tf.imaging.geometry_steps import Patch
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.models import named_layers, with_winograd
from mammo_tf.models.flips import FLIPS
from mammo_tf.serving.answers import Answers
from mammo_tf.serving.png_in_graph import decode_png
from mammo_tf.training import Classification, ModelCard, ModelFile, Task, Threshold

PNG_SIGNATURE, FLOAT_SIGNATURE = "serving_default", "serving_float"
CUT = "a step runs on whole pictures before patches or tiles are cut of them"
Tensor = Any


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
    return found.for_pieces() if found is not None and sees_pieces(card) else found


def whole_steps(card: ModelCard) -> list[dict[str, Any]]:
    """What whoever asks a model of patches or tiles runs on whole pictures before it cuts them, as JSON; else empty."""
    if card.preprocessing is None or not sees_pieces(card):
        return []
    return card.preprocessing.to_json()["intensity"][: len(card.preprocessing.whole_steps)]


def sees_pieces(card: ModelCard) -> bool:
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
    model: keras.Model, card: ModelCard, preprocessing: Preprocessing, winograd: bool
) -> tuple[dict[str, Any], list[tf.Variable]]:
    """The functions behind the signatures, and the variables that they read, each once.

    Args:
        model, preprocessing: as `check_servable` lets them through, without `whole_steps` for patches and tiles.
        card: as it is served; its task names the outputs, and what it says beyond the network's is answered too.
        winograd: see `export_bundle`.

    Returns:
        By name of the signature, functions that give a dictionary of the outputs: of one tensor, `serving_float` of
        picture and breast where the preprocessing `needs_breast`.
    """
    task = task_of(card)
    network = task.serving_network(model)
    if winograd:
        network = with_winograd(network)
    named = {"picture": tf.float32, "breast": tf.bool} if preprocessing.needs_breast else {"picture": tf.float32}
    inputs = [tf.TensorSpec([None, *(preprocessing.size or (None, None))], kind, name) for name, kind in named.items()]

    def scored(answers: Answers, pictures: Tensor, breasts: Tensor | None = None) -> dict[str, Tensor]:
        """Of no picture: no score. A convolution refuses an empty batch, so it is given a black one then."""
        count = tf.shape(pictures)[0]
        masks = None if breasts is None else _one_at_least(breasts)
        values = graph_preprocessing.intensity(preprocessing, _one_at_least(pictures), masks)
        own, *further = tf.nest.flatten(network(values, training=False))
        if card.flips:
            mirrored = [own, *(back(values, axes) for axes in FLIPS.values())]
            own = tf.add_n(mirrored) / len(mirrored)
        named = {name: output[:count] for name, output in task.named_outputs([own, *further]).items()}
        return named | answers(named["score"], pictures, breasts)

    def back(values: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The network's own output on mirrored pictures; one that is a picture itself is mirrored back."""
        given = tf.nest.flatten(network(tf.reverse(values, axes), training=False))[0]
        return tf.reverse(given, axes) if given.shape.rank == 4 else given

    def prepared(numbered: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        png, number = numbered
        return graph_preprocessing.geometry(preprocessing, decode_png(png, number))[: len(inputs)]

    in_graph, ahead = (Answers.of(card, preprocessing, name) for name in (PNG_SIGNATURE, FLOAT_SIGNATURE))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="png")])
    def serve_png(png: Tensor) -> dict[str, Tensor]:
        one = tuple(tf.TensorSpec(spec.shape[1:], spec.dtype) for spec in inputs)
        return scored(in_graph, *tf.map_fn(prepared, (png, tf.range(tf.size(png))), fn_output_signature=one))

    @tf.function(input_signature=inputs)
    def serve_float(picture: Tensor, breast: Tensor | None = None) -> dict[str, Tensor]:
        if breast is not None:
            breast = held(breast, tf.reduce_all(tf.reduce_any(breast, axis=(1, 2))), "a breast mask is empty")
        return scored(ahead, picture, breast)

    signatures = {PNG_SIGNATURE: serve_png, FLOAT_SIGNATURE: serve_float}
    return signatures, list({id(variable.value): variable.value for variable in network.variables}.values())


def _one_at_least(pictures: Tensor) -> Tensor:
    """A batch, or a black picture where it is empty.

    Put behind rather than padded: tf2onnx 1.17 takes a padding that is known only at run time for one of other axes,
    where a convolution with strides follows.
    """
    lacking = tf.cast(tf.shape(pictures)[0] == 0, tf.int32)
    return tf.concat([pictures, tf.zeros([lacking, *pictures.shape[1:]], pictures.dtype)], 0)
