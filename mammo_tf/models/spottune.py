"""SpotTune: every residual block twice, and a small network that chooses between them for each picture and block.

Guo et al., SpotTune: Transfer Learning through Adaptive Fine-tuning, CVPR 2019; `tests/golden/spottune` has facts and
reference values. One twin of a block keeps its convolutions, the other is trained, and both start from the same
weights: x = (1 - p) kept(x) + p tuned(x), behind the last activation, p being the policy of the picture for the block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import one_of
from mammo_tf.models.frozen import FrozenBatchNormalization, FrozenConv2D
from mammo_tf.models.networks import NETWORKS, Network, Shape, described, description_of
from mammo_tf.models.policy import ARGMAX, TEST_POLICIES, GumbelPolicy, PolicyMix, gumbel_softmax
from mammo_tf.models.rebuild import named_layers, rebuild
from mammo_tf.models.residual import Residual, ResidualBlock
from mammo_tf.models.resnet_patch import ResNetPatch, trunk

__all__ = ["Policies", "SpotTune", "gumbel_softmax", "policies", "spottune", "with_test_policy"]

TEMPERATURE = 5.0
POLICY_NETWORK, POLICY = "policy_network", "policy"
KEPT, TUNED = TWINS = ("frozen", "tuned")


@NETWORKS.register
@dataclass(frozen=True)
class SpotTune:
    """A network with residual blocks, adapted by SpotTune; see `spottune`.

    Attributes:
        network: what it is made out of; a start model, or the network of the phase before, takes its place.
        temperature: of the Gumbel softmax, above 0.
        test_policy: at inference: `argmax`, `expectation`, or `drawn` as published.
        frozen_normalisation_trains: whether batch normalisations of the kept twins are trained, as published.
    """

    kind: ClassVar[str] = "spottune"
    network: Network = field(default_factory=ResNetPatch)
    temperature: float = TEMPERATURE
    test_policy: str = one_of(*TEST_POLICIES, default=ARGMAX)
    frozen_normalisation_trains: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            sentence = f"the temperature of SpotTune is a number above 0, not {self.temperature:g}"
            raise MammoError("spottune_wrong", sentence)
        if self.test_policy not in TEST_POLICIES:
            known = ", ".join(TEST_POLICIES)
            raise MammoError("spottune_wrong", f"test_policy is one of {known}, not {self.test_policy!r}")

    def build(self, shape: Shape) -> keras.Model:
        """The network out of `network` with weights drawn again; errors as `spottune`."""
        return self.grow(self.network.build(shape), shape)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """The network out of a trained one; errors as `spottune`."""
        return spottune(before, self.temperature, self.test_policy, self.frozen_normalisation_trains)

    def small(self) -> Self:
        """The same out of a small network."""
        return replace(self, network=self.network.small())


class Policies(NamedTuple):
    """What the policy network says of some pictures.

    Attributes:
        blocks: names of the residual blocks, in order.
        chosen: float32 `[pictures, blocks]`, the policy that is used: 1 for the fine-tuned twin, 0 for the kept one.
        probabilities: float32 `[pictures, blocks]`, of choosing the fine-tuned twin where decisions are drawn.
    """

    blocks: tuple[str, ...]
    chosen: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def spottune(
    model: keras.Model,
    temperature: float = TEMPERATURE,
    test_policy: str = ARGMAX,
    frozen_normalisation_trains: bool = True,
) -> keras.Model:
    """A functional model in which every residual block of `model` exists twice and a policy network chooses.

    Twins are nested models next to each other, `<block>_frozen` and `<block>_tuned`, and `policy_network` sees the
    picture: a residual network of the same width with one block a stage, its weights drawn. It decides about all blocks
    at once, and learns from the task's loss alone. Kernels of the frozen twins cannot be trained, so a stage may name
    "all". Everything else can: the layers outside of the blocks, the tuned twins, the policy network.

    Args:
        model: of a description that names residual blocks (`models.Residual`): a `resnet_patch`, or an End2End network
            or patch classifier with a ResNet50 body. It stays as it is.
        temperature: of the Gumbel softmax, above 0.
        test_policy: at inference: `argmax`, `expectation`, or `drawn` anew as published, which makes scores random.
        frozen_normalisation_trains: batch normalisations of the frozen twins are trained, statistics included, as
            published; False keeps them in inference mode with their weights.

    Returns:
        Input and output are those of `model`.

    Raises:
        MammoError: `spottune_wrong`; `cannot_grow` for a model without residual blocks, or with layers in them that
            cannot be kept (others than convolutions and batch normalisations that have weights).
    """
    said = description_of(model)
    stages = said.residual_stages() if isinstance(said, Residual) else ()
    if not isinstance(said, Residual) or not stages:
        raise MammoError(
            "cannot_grow", f"the description of {model.name} names no residual blocks, which SpotTune doubles",
            "Take a resnet_patch, or an End2End network or patch classifier with a ResNet50 body",
        )  # fmt: skip
    wanted = SpotTune(said, temperature, test_policy, frozen_normalisation_trains)
    blocks = tuple(block for stage in stages for block in stage)
    copied = rebuild(model)
    pictures = keras.Input(model.input.shape[1:], name=model.inputs[0].name)
    decisions = _policy_network(pictures.shape[-1], len(stages), said.residual_width(), len(blocks))
    policy = GumbelPolicy(temperature, test_policy, name=POLICY)(decisions(pictures))
    grown = _Twins(blocks, frozen_normalisation_trains).of(copied, pictures, policy)
    _take_over(grown, copied)
    return described(keras.Model(grown.input, grown.output, name=f"{model.name}_spottune"), wanted)


def policies(model: keras.Model, pictures: Any, batch_size: int | None = None) -> Policies:
    """What the policy network of a model decides for each picture, as the model itself uses it at inference.

    Args:
        model: from `spottune`.
        pictures: network input, float32 `[pictures, rows, columns, channels]`, or whatever else `keras.Model.predict`
            takes, such as a `tf.data.Dataset` of batches.
        batch_size: pictures at once, of an array.

    Raises:
        MammoError: `no_policy` for a model without a policy network.
    """
    said, decisions = description_of(model), [layer for layer in model.layers if isinstance(layer, GumbelPolicy)]
    if not isinstance(said, SpotTune) or not isinstance(said.network, Residual) or len(decisions) != 1:
        raise MammoError("no_policy", f"the model {model.name} has no policy network", "Take one made by spottune")
    asked = keras.Model(model.inputs[0], [decisions[0].input, decisions[0].output])
    logits, chosen = asked.predict(pictures, batch_size=batch_size, verbose=0)
    gain = logits[..., 1].astype(np.float64) - logits[..., 0]
    names = tuple(block.name for stage in said.network.residual_stages() for block in stage)
    return Policies(names, np.asarray(chosen, np.float32), (1 / (1 + np.exp(-gain))).astype(np.float32))


def with_test_policy(model: keras.Model, test_policy: str) -> keras.Model:
    """A copy of a model from `spottune` that decides otherwise at inference: `argmax`, `expectation`, or `drawn`.

    Raises:
        MammoError: `no_policy`, `spottune_wrong`.
    """
    said = description_of(model)
    if not isinstance(said, SpotTune):
        raise MammoError("no_policy", f"the model {model.name} has no policy network", "Take one made by spottune")
    wanted = replace(said, test_policy=test_policy)

    def changed(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        return type(layer).from_config(
            config | {"test_policy": test_policy} if isinstance(layer, GumbelPolicy) else config
        )

    copied = keras.models.clone_model(model, clone_function=changed)
    copied.set_weights(model.get_weights())
    return described(copied, wanted)


def _policy_network(channels: int, stages: int, width: int, blocks: int) -> keras.Model:
    """Pictures of any size to logits `[batch, blocks, 2]`: one bottleneck block a stage."""
    pictures = keras.Input((None, None, channels), name=f"{POLICY_NETWORK}_input")
    features = layers.GlobalAveragePooling2D(name="pool")(trunk(pictures, (1,) * stages, width, weight_decay=0.0))
    logits = layers.Dense(2 * blocks, name="output")(features)
    return keras.Model(pictures, layers.Reshape((blocks, 2), name="logits")(logits), name=POLICY_NETWORK)


class _Twins:
    """Copies a model layer by layer; where a residual block ends, both its twins and their mix stand in its place."""

    def __init__(self, blocks: tuple[ResidualBlock, ...], normalisation_trains: bool) -> None:
        self.blocks, self.normalisation_trains = blocks, normalisation_trains

    def of(self, model: keras.Model, inputs: Any, policy: Any, prefix: str = "") -> keras.Model:
        """`model` on new inputs, with twins; `prefix` leads to its layers.

        Args:
            model: functional; nested models in it may hold blocks.
            inputs: tensors in the structure of its inputs.
            policy: `[batch, blocks]`, made of `inputs` or one of them.
        """
        ends = {block.last: number for number, block in enumerate(self.blocks)}
        names = [f"{prefix}{tensor._keras_history.operation.name}" for tensor in model.inputs]
        made = dict(zip(names, keras.tree.flatten(inputs), strict=True))

        def call(layer: layers.Layer, *tensors: Any, **options: Any) -> Any:
            path = f"{prefix}{layer.name}"
            if path in ends:
                block = self.blocks[ends[path]]
                part = keras.Model(*(_layer(model, prefix, end).output for end in (block.before, block.last)))
                twins = [self.twin(part, f"{block.name}_{which}", which == KEPT)(made[block.before]) for which in TWINS]
                made[path] = PolicyMix(ends[path], name=f"{block.name}_mix")([*twins, policy])
            elif any(block.last.startswith(f"{path}/") for block in self.blocks):
                made[path] = self.nested(_layer(model, prefix, path), f"{path}/")([*tensors, policy])
            else:
                made[path] = layer(*tensors, **options)
            return made[path]

        return keras.models.clone_model(model, inputs, call_function=call)

    def nested(self, model: keras.Model, prefix: str) -> keras.Model:
        """A nested model with twins, which is given the policy as a second input."""
        policy = keras.Input((len(self.blocks),), name=POLICY)
        inputs = keras.Input(model.input.shape[1:], name=model.inputs[0].name)
        return self.of(
            keras.Model([model.input, policy], model.output, name=model.name), [inputs, policy], policy, prefix
        )

    def twin(self, part: keras.Model, name: str, kept: bool) -> keras.Model:
        """A block as a model of its own, for pictures of any size, with a copy of its weights."""
        size = (None,) * (len(part.input.shape) - 2)
        inputs = keras.Input((*size, part.input.shape[-1]), name=f"{name}_input")
        clone = keras.models.clone_model(part, inputs, clone_function=self.keep if kept else None, recursive=True)
        clone.set_weights(part.get_weights())
        return keras.Model(clone.input, clone.output, name=name)

    def keep(self, layer: layers.Layer) -> layers.Layer:
        """A copy of a layer whose weights cannot be trained, but for those of normalisation where that is asked."""
        kind = type(layer)
        if kind is layers.Conv2D:
            kind = FrozenConv2D
        elif kind is layers.BatchNormalization:
            kind = kind if self.normalisation_trains else FrozenBatchNormalization
        elif getattr(layer, "weights", None):
            raise MammoError(
                "cannot_grow", f"SpotTune cannot keep the {kind.__name__} {layer.name} of a residual block"
            )
        return kind.from_config(layer.get_config())


def _layer(model: keras.Model, prefix: str, path: str) -> keras.layers.Layer:
    return model.get_layer(path.removeprefix(prefix))


def _take_over(grown: keras.Model, before: keras.Model) -> None:
    """Weights of the layers outside of the blocks; everything that can be trained is made trainable."""
    sources = dict(named_layers(before))
    for path, layer in named_layers(grown):
        if isinstance(layer, keras.Model):
            continue
        layer.trainable = True
        if path in sources:
            layer.set_weights(sources[path].get_weights())
