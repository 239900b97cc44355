"""End2End: a patch classifier turned into a whole-image classifier (Shen et al., Sci Rep 2019; thesis, method C).

Layers are named, ordered and counted as in `tests/golden/end2end/models_1152x896.json`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.backbones import BACKBONES, RESIDUAL_BACKBONES, resnet50_blocks, scaled
from mammo_tf.models.networks import MOST, NETWORKS, Shape, described, description_of
from mammo_tf.models.replacements import Replacement, kept, with_replacements
from mammo_tf.models.residual import ResidualBlock
from mammo_tf.models.tops import TOPS

BODY = "model_1"
SMOKE_WIDTH = 1 / 32
WIDEST = 16


def _check_numbers(kind: str, width: float, dropout: float, weight_decay: float, classes: int = 1) -> None:
    """Refuses numbers that no network can be built with.

    Raises:
        MammoError: `network_wrong`.
    """
    rules = (
        (0 < width <= WIDEST, f"width is above 0, up to {WIDEST}, not {width:g}"),
        (0 <= dropout < 1, f"dropout lies from 0 to below 1, not at {dropout:g}"),
        (0 <= weight_decay < math.inf, f"weight_decay is 0 or more, not {weight_decay:g}"),
        (1 <= classes <= MOST, f"classes is 1 or more, up to {MOST}, not {classes}"),
    )
    for right, rule in rules:
        if not right:
            raise MammoError("network_wrong", f"{kind}: {rule}")


@NETWORKS.register
@dataclass(frozen=True)
class End2End:
    """The whole-image classifier, see `end2end`.

    Attributes:
        backbone: name of one of `models.backbones.BACKBONES`.
        top: "512x1" or "512-512-1024x2".
        width: fraction of all numbers of filters.
        dropout: rate of every dropout layer when it is built.
        weight_decay: L2 factor of the head's kernels when it is built.
        replaced: layers in the place of its own, such as `GroupNormalised(("batch_normalization_1",), groups=8)`.
    """

    kind: ClassVar[str] = "end2end"
    backbone: str = "vgg16"
    top: str = "512x1"
    width: float = 1.0
    dropout: float = 0.0
    weight_decay: float = 0.001
    replaced: tuple[Replacement, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self.kind, self.width, self.dropout, self.weight_decay)

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `end2end` and `with_replacements`."""
        plain = end2end(self.backbone, self.top, shape, self.width, self.dropout, self.weight_decay)
        return with_replacements(plain, self.replaced)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """The network whose body is that of a patch classifier, with what is replaced in it.

        Raises:
            MammoError: as `end2end_from_patch` and `with_replacements`.
        """
        patch = description_of(before)
        if isinstance(patch, PatchClassifier) and (patch.backbone, patch.width) != (self.backbone, self.width):
            raise MammoError(
                "cannot_grow",
                f"the patch classifier is {patch.backbone} at width {patch.width:g}, the whole-image network "
                f"{self.backbone} at width {self.width:g}",
                "Give both the same backbone and width",
            )
        grown = end2end_from_patch(before, self.top, shape, self.dropout, self.weight_decay)
        return with_replacements(grown, kept(self.replaced, lambda path: None if path.startswith(f"{BODY}/") else path))

    def small(self) -> Self:
        """The same at 1/32 of the filters."""
        return replace(self, width=SMOKE_WIDTH, replaced=tuple(one.small() for one in self.replaced))

    def residual_stages(self) -> tuple[tuple[ResidualBlock, ...], ...]:
        """The blocks of a ResNet50 body, `res2a` to `res5c`; none of VGG16, and none of the top's."""
        return resnet50_blocks(f"{BODY}/") if self.backbone in RESIDUAL_BACKBONES else ()

    def residual_width(self) -> int:
        """Filters of `res2a_branch2a`."""
        return scaled(64, self.width)


@NETWORKS.register
@dataclass(frozen=True)
class PatchClassifier:
    """The patch classifier, see `patch_classifier`.

    Attributes:
        backbone, width: as for `End2End`.
        classes: number of classes, background included.
        dropout, weight_decay: of the output layer when it is built.
        replaced: layers in the place of its own, as for `End2End`.
    """

    kind: ClassVar[str] = "patch_classifier"
    backbone: str = "vgg16"
    classes: int = 3
    width: float = 1.0
    dropout: float = 0.0
    weight_decay: float = 0.0
    replaced: tuple[Replacement, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self.kind, self.width, self.dropout, self.weight_decay, self.classes)

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `patch_classifier` and `with_replacements`."""
        plain = patch_classifier(self.backbone, shape, self.classes, self.width, self.dropout, self.weight_decay)
        return with_replacements(plain, self.replaced)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: a patch classifier starts from nothing."""
        raise MammoError("cannot_grow", f"a patch classifier takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """The same at 1/32 of the filters."""
        return replace(self, width=SMOKE_WIDTH, replaced=tuple(one.small() for one in self.replaced))

    def residual_stages(self) -> tuple[tuple[ResidualBlock, ...], ...]:
        """The blocks of a ResNet50 body, `res2a` to `res5c`; none of VGG16."""
        return resnet50_blocks("") if self.backbone in RESIDUAL_BACKBONES else ()

    def residual_width(self) -> int:
        """Filters of `res2a_branch2a`."""
        return scaled(64, self.width)


def end2end(
    backbone: str = "vgg16",
    top: str = "512x1",
    input_shape: Shape = (1152, 896, 3),
    width: float = 1.0,
    dropout: float = 0.0,
    weight_decay: float = 0.001,
) -> keras.Model:
    """The whole-image classifier: a nested body `model_1`, two blocks, pooling, a softmax over [negative, positive].

    Args:
        backbone: "vgg16", "resnet50", or "resnet50_padded" (the stem of Keras up to 2.0.6).
        top: "512x1", two blocks of 3x3 convolution, batch normalisation, ReLU, dropout, pooling (the thesis's), or
            "512-512-1024x2", two blocks of two residual bottlenecks.
        input_shape: rows, columns, channels; float32 pictures after `Preprocessing`.
        width: fraction of all numbers of filters.
        dropout: rate of every dropout layer, in [0, 1). A later stage changes it with `rebuild`.
        weight_decay: L2 factor of the head's kernels (loss + factor x sum of squares); the body has none.

    Returns:
        Pictures `[batch, rows, columns, channels]` to probabilities `[batch, 2]`. Full width, 1152x896: 19,439,426
        parameters for VGG16 "512x1", 29,710,146 with the residual top, 40,942,466 for ResNet50 with the residual top.

    Raises:
        MammoError: `backbone_unknown`, `top_unknown`, `size_too_small`, `network_wrong`.
    """
    description = End2End(backbone, top, width, dropout, weight_decay)
    model = _classifier(body(backbone, input_shape[2], width), top, input_shape, width, dropout, weight_decay)
    return described(model, description)


def end2end_from_patch(
    patch_model: keras.Model,
    top: str = "512x1",
    input_shape: Shape = (1152, 896, 3),
    dropout: float = 0.0,
    weight_decay: float = 0.001,
) -> keras.Model:
    """The whole-image classifier whose body is the trained `patch_model` up to its last convolutional stage.

    The width of the head follows the body's. Arguments and errors as `end2end`; the patch model keeps its weights.
    """
    patch = _patch_description(patch_model)
    converted = patch_body(patch_model)
    model = _classifier(converted, top, input_shape, patch.width, dropout, weight_decay)
    replaced = kept(_in_body(patch, converted), lambda path: f"{BODY}/{path}")
    return described(model, End2End(patch.backbone, top, patch.width, dropout, weight_decay, replaced))


def patch_classifier(
    backbone: str = "vgg16",
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 5,
    width: float = 1.0,
    dropout: float = 0.5,
    weight_decay: float = 0.01,
) -> keras.Model:
    """The patch classifier: body, global average pooling, dropout, softmax over `classes` (background first).

    Flat, as the published patch files are. Arguments and errors as `end2end`; VGG16 with five classes at full width
    has 14,717,253 parameters, ResNet50 23,597,957.
    """
    _check_backbone(backbone)
    description = PatchClassifier(backbone, classes, width, dropout, weight_decay)
    inputs = keras.Input(input_shape, name="input_1")
    tensor = _run_backbone(backbone, inputs, width)
    tensor = layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")(tensor)
    tensor = layers.Dropout(dropout, name="dropout_1")(tensor)
    tensor = layers.Dense(
        classes, activation="softmax", kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(weight_decay), dtype=_output_dtype(), name="dense_1",
    )(tensor)  # fmt: skip
    model = keras.Model(inputs, tensor, name="patch_classifier")
    return described(model, description)


def body(backbone: str, channels: int = 3, width: float = 1.0) -> keras.Model:
    """The convolutional body alone, for pictures of any size; named `model_1`.

    Raises:
        MammoError: `backbone_unknown`.
    """
    _check_backbone(backbone)
    inputs = keras.Input((None, None, channels), name="input_1")
    return keras.Model(inputs, _run_backbone(backbone, inputs, width), name=BODY)


def patch_body(patch_model: keras.Model) -> keras.Model:
    """The body of a patch classifier, a new model `model_1` with a copy of its weights.

    Raises:
        MammoError: `not_a_patch_model` if the model does not say that `patch_classifier` built it.
    """
    patch = _patch_description(patch_model)
    plain = body(patch.backbone, patch_model.input.shape[-1], patch.width)
    converted = with_replacements(plain, _in_body(patch, plain))
    for layer in converted.layers:
        if layer.weights:
            layer.set_weights(patch_model.get_layer(layer.name).get_weights())
    return converted


def _in_body(patch: PatchClassifier, converted: keras.Model) -> tuple[Replacement, ...]:
    """What of a patch classifier is replaced in its body, without its output."""
    names = {layer.name for layer in converted.layers}
    return kept(patch.replaced, lambda path: path if path in names else None)


def _patch_description(model: keras.Model) -> PatchClassifier:
    found = description_of(model)
    if not isinstance(found, PatchClassifier):
        told = "does not say what it was built with" if found is None else f"is of the kind {found.kind}"
        sentence = f"the model {model.name} {told}, so it is not known to be a patch classifier"
        raise MammoError("not_a_patch_model", sentence, "Take one that mammo_tf trained or imported")
    return found


def _check_backbone(backbone: str) -> None:
    if backbone not in BACKBONES:
        raise MammoError("backbone_unknown", f"backbone {backbone!r} is unknown", f"Known are {', '.join(BACKBONES)}")


def _run_backbone(backbone: str, inputs: Any, width: float) -> Any:
    return BACKBONES[backbone](inputs, width)


def _output_dtype() -> str:
    return "float32"  # probabilities stay float32 under mixed precision


def _classifier(
    converted: keras.Model,
    top: str,
    input_shape: Shape,
    width: float,
    dropout: float,
    weight_decay: float,
) -> keras.Model:
    if top not in TOPS:
        raise MammoError("top_unknown", f"top {top!r} is unknown", f"Known are {', '.join(TOPS)}")
    head, smallest = TOPS[top]
    if min(size or smallest for size in input_shape[:2]) < smallest:
        raise MammoError(
            "size_too_small",
            f"{input_shape[0]}x{input_shape[1]} pixels are too few for End2End with the top {top}",
            f"Rows and columns must be {smallest} or more",
        )
    inputs = keras.Input(input_shape, name="input_1")
    tensor, dropouts = head(converted(inputs), width, dropout, weight_decay)
    tensor = layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")(tensor)
    tensor = layers.Dropout(dropout, name=f"dropout_{dropouts + 1}")(tensor)
    tensor = layers.Dense(
        2, activation="softmax", kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(weight_decay), dtype=_output_dtype(), name="dense_1",
    )(tensor)  # fmt: skip
    return keras.Model(inputs, tensor, name="end2end")
