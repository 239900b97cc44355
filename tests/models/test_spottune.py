"""SpotTune: twins and their mix against reference values, and what a model of them must be able to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from mammo_tf.errors import MammoError
from mammo_tf.models import (
    End2End,
    PatchClassifier,
    ResidualBlock,
    ResNetPatch,
    SpotTune,
    activation_map_model,
    architecture_digest,
    backbones,
    described,
    description_of,
    end2end,
    flip_averaged,
    named_layers,
    policies,
    rebuild,
    resnet_patch,
    spottune,
    with_test_policy,
    with_winograd,
)
from mammo_tf.models.groups import layer_groups, set_trainable
from mammo_tf.models.networks import started_as
from mammo_tf.models.policy import GumbelPolicy

sys.path.insert(0, str(Path(__file__).parent))
from check_model import check_model  # noqa: E402 - it lies next to this file

NUMBERS = {"1": "weight", "2": "bias"}


@dataclass(frozen=True)
class Tiny:
    """The description of the network of `tests/golden/spottune`."""

    kind = "tiny"

    def residual_stages(self) -> tuple[tuple[ResidualBlock, ...], ...]:
        return ((ResidualBlock("one", "stem", "one_end"), ResidualBlock("two", "one_end", "two_end")),)

    def residual_width(self) -> int:
        return 4


def _tiny() -> keras.Model:
    """Two blocks without projection: half the size by average pooling, channels filled up with zeros."""

    def convolved(tensor: object, name: str, stride: int) -> object:
        padded = layers.ZeroPadding2D(1)(tensor)
        tensor = layers.Conv2D(8, 3, stride, use_bias=False, name=name)(padded)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(tensor)

    pictures = keras.Input((8, 6, 4))
    tensor = layers.Identity(name="stem")(pictures)
    for name, stride in (("one", 2), ("two", 1)):
        shortcut = layers.AveragePooling2D(2)(tensor) if stride == 2 else tensor
        shortcut = ops.concatenate([shortcut, shortcut * 0], axis=-1) if stride == 2 else shortcut
        inner = layers.ReLU()(convolved(tensor, f"{name}_conv1", stride))
        tensor = layers.ReLU(name=f"{name}_end")(layers.Add()([convolved(inner, f"{name}_conv2", 1), shortcut]))
    tensor = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="final_bn")(tensor))
    outputs = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(tensor))
    return described(keras.Model(pictures, outputs, name="tiny"), Tiny())


@pytest.fixture(scope="module")
def answers(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "spottune" / "tiny_network.npz") as stored:
        return {name: stored[name] for name in stored.files}


def _reference(answers: dict[str, np.ndarray]) -> keras.Model:
    """The golden network: pictures and policy to what is behind both mixes, and the output."""
    model = spottune(_tiny())
    for block, name in enumerate(("one", "two")):
        for which in ("frozen", "tuned"):
            twin = model.get_layer(f"{name}_{which}")
            for number, place in ((1, "conv1"), (2, "conv2/1")):
                kernel = answers[f"{which}/{block}/{place}/weight"]
                twin.get_layer(f"{name}_conv{number}").set_weights([kernel.transpose(2, 3, 1, 0)])
                twin.get_layer(f"{name}_conv{number}_bn").set_weights(_bn(answers, f"{which}/{block}/bn{number}"))
    model.get_layer("final_bn").set_weights(_bn(answers, "final_bn/0"))
    model.get_layer("head").set_weights([answers["head/weight"].T, answers["head/bias"]])
    policy = next(layer for layer in model.layers if isinstance(layer, GumbelPolicy)).output
    mixes = [model.get_layer(f"{name}_mix").output for name in ("one", "two")]
    return keras.Model([model.input, policy], [*mixes, model.output])


def _bn(answers: dict[str, np.ndarray], place: str) -> list[np.ndarray]:
    return [answers[f"{place}/{name}"] for name in ("weight", "bias", "running_mean", "running_var")]


def _loss(logits: tf.Tensor, answers: dict[str, np.ndarray]) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(answers["labels"], logits))


def test_outputs_and_gradients_are_those_of_the_reference(answers: dict[str, np.ndarray]) -> None:
    model = _reference(answers)
    pictures, policy = tf.constant(answers["x"].transpose(0, 2, 3, 1)), tf.constant(answers["policy"])
    layer = dict(named_layers(model))
    kernel = layer["one_tuned/one_conv1"].kernel.value
    scales = [layer[f"two_{which}/two_conv2_bn"].gamma.value for which in ("tuned", "frozen")]
    with tf.GradientTape() as tape:
        tape.watch(policy)
        first, second, logits = model([pictures, policy], training=False)
        loss = _loss(logits, answers)
    found = tape.gradient(loss, [policy, kernel, *scales])
    for tensor, name in ((first, "eval_after_block1"), (second, "eval_after_block2")):
        np.testing.assert_allclose(np.transpose(tensor, (0, 3, 1, 2)), answers[name], atol=1e-5)
    np.testing.assert_allclose(logits, answers["eval_out"], atol=1e-5)
    np.testing.assert_allclose(loss, answers["eval_loss"], atol=1e-5)
    np.testing.assert_allclose(found[0], answers["eval_grad_policy"], atol=1e-5)
    np.testing.assert_allclose(np.transpose(found[1], (3, 2, 0, 1)), answers["eval_grad_tuned_block1_conv1"], atol=1e-5)
    np.testing.assert_allclose(found[2], answers["eval_grad_tuned_block2_bn2_weight"], atol=1e-5)
    np.testing.assert_allclose(found[3], answers["eval_grad_frozen_block2_bn2_weight"], atol=1e-5)
    kept = model([pictures, tf.zeros_like(policy)], training=False)[2]
    np.testing.assert_allclose(kept, answers["eval_out_no_policy"], atol=1e-5)


def test_a_step_of_training_is_that_of_the_reference(answers: dict[str, np.ndarray]) -> None:
    """Moving variances too, but for what is known: theirs is of n - 1, Keras' of n; n = 5 pictures x 4 x 3 pixels."""
    model = _reference(answers)
    pictures, policy = tf.constant(answers["x"].transpose(0, 2, 3, 1)), tf.constant(answers["policy"])
    with tf.GradientTape() as tape:
        tape.watch(policy)
        logits = model([pictures, policy], training=True)[2]
        loss = _loss(logits, answers)
    np.testing.assert_allclose(logits, answers["train_out"], atol=1e-5)
    np.testing.assert_allclose(loss, answers["train_loss"], atol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, policy), answers["train_grad_policy"], atol=1e-5)
    statistics = dict(named_layers(model))["one_frozen/one_conv1_bn"]
    expected = answers["train_frozen_block1_bn1_running_mean_after"]
    np.testing.assert_allclose(statistics.moving_mean, expected, atol=1e-5)
    before, n = 0.9 * answers["frozen/0/bn1/running_var"], 5 * 4 * 3
    unbiased = before + (np.asarray(statistics.moving_variance) - before) * n / (n - 1)
    np.testing.assert_allclose(unbiased, answers["train_frozen_block1_bn1_running_var_after"], atol=1e-5)


def _pictures(count: int = 6, rows: int = 32, columns: int = 32, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (count, rows, columns, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def grown() -> keras.Model:
    keras.utils.set_random_seed(1)
    return spottune(resnet_patch((32, 32, 1), (1, 1), 4))


def test_what_every_model_must_pass(grown: keras.Model, tmp_path: Path) -> None:
    check_model(grown, tmp_path)


@pytest.mark.parametrize(
    ("network", "size", "stages"),
    [
        (ResNetPatch((2, 1), 2), (32, 48, 1), ()),
        (End2End("resnet50_padded", "512-512-1024x2", 1 / 32), (64, 32, 3), ((64, 1), (128, 2))),
        (PatchClassifier("resnet50", 3, 1 / 32), (32, 32, 1), ((64, 1),)),
        pytest.param(
            End2End("resnet50", "512-512-1024x2", 1 / 32), (64, 32, 3), backbones.RESNET50_STAGES,
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_it_starts_as_the_network_that_it_is_made_out_of(
    network: ResNetPatch | End2End | PatchClassifier, size: tuple, stages: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "RESNET50_STAGES", stages)
    before = network.build(size)
    digest, pictures = architecture_digest(before), _pictures(2, *size)
    set_trainable(before, ("output",))
    twice = spottune(before)
    np.testing.assert_allclose(twice(pictures), before(pictures), atol=1e-6)
    assert description_of(twice) == SpotTune(network)
    assert architecture_digest(before) == digest
    assert twice.name == f"{before.name}_spottune"
    blocks = [block.name for stage in network.residual_stages() for block in stage]
    assert policies(twice, pictures).blocks == tuple(blocks)
    parts = layer_groups(twice)
    prefix = "model_1/" if isinstance(network, End2End) else ""
    for name in blocks:
        assert len(parts[f"{prefix}{name}_frozen"]) == len(parts[f"{prefix}{name}_tuned"]) >= 6
    frozen = {path: layer for path, layer in named_layers(twice) if "_frozen/" in path and layer.weights}
    assert all("norm" in path or "bn" in path or not layer.trainable_weights for path, layer in frozen.items())
    kernels = sum(
        int(np.prod(layer.kernel.shape)) + (0 if layer.bias is None else int(layer.bias.shape[0]))
        for layer in frozen.values() if hasattr(layer, "kernel")
    )  # fmt: skip
    statistics = sum(int(np.prod(w.shape)) for w in twice.non_trainable_weights if w.name.startswith("moving"))
    assert sum(int(np.prod(w.shape)) for w in twice.non_trainable_weights) == kernels + statistics


def _fitted(model: keras.Model, parts: tuple[str, ...] = ("all",), epochs: int = 1) -> keras.Model:
    """A bright or a dark middle."""
    labels = np.tile([0, 1], 8)
    pictures = _pictures(16)
    pictures[:, 8:24, 8:24] += 3 * (2 * labels - 1)[:, None, None, None]
    model = rebuild(model)
    set_trainable(model, parts)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False)
    history = model.fit(pictures, labels, batch_size=8, epochs=epochs, verbose=0, shuffle=False)
    model.losses_seen = history.history["loss"]
    return model


def _changed(before: keras.Model, after: keras.Model) -> set[str]:
    pairs = zip(named_layers(before), named_layers(after), strict=True)
    return {
        path for (path, one), (_, two) in pairs
        if not isinstance(one, keras.Model)
        and any(not np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("normalisation_trains", [True, False])
def test_fit_trains_everything_but_what_is_kept(normalisation_trains: bool) -> None:
    keras.utils.set_random_seed(1)
    before = spottune(resnet_patch((32, 32, 1), (1,), 4), frozen_normalisation_trains=normalisation_trains)
    after = _fitted(before, epochs=12)
    assert after.losses_seen[-1] < 0.3 < after.losses_seen[0]
    changed, all_layers = _changed(before, after), set(layer_groups(before)["all"])
    kept = {path for path in all_layers if "_frozen/" in path and not (normalisation_trains and path.endswith("_norm"))}
    assert changed == all_layers - kept
    assert len(kept) == (4 if normalisation_trains else 8)


def test_what_cannot_be_trained_is_told() -> None:
    model = spottune(resnet_patch((32, 32, 1), (1,), 4), frozen_normalisation_trains=False)
    for parts, batch_norm in ((("block_1_frozen",), True), (("normalisation",), False)):
        with pytest.raises(MammoError, match="hold nothing that can be trained"):
            set_trainable(model, parts, batch_norm)


def test_the_generator_is_part_of_the_model(grown: keras.Model, tmp_path: Path) -> None:
    model, pictures = with_test_policy(grown, "drawn"), _pictures(40)
    assert description_of(model) == SpotTune(ResNetPatch((1, 1), 4), test_policy="drawn")
    for layer in model.get_layer("block_1_tuned").layers:  # twins start as equals, which no policy tells apart
        layer.set_weights([weight + 0.1 for weight in layer.get_weights()])
    first = np.asarray(model(pictures))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for _ in range(2):
        again = np.asarray(model(pictures))
        np.testing.assert_allclose(loaded(pictures), again, atol=1e-6)
        assert not np.allclose(first, again, atol=1e-4)


def test_policies_are_those_that_the_model_goes_by(grown: keras.Model) -> None:
    pictures = _pictures()
    told = policies(grown, pictures, batch_size=4)
    assert told.blocks == ("block_1", "block_2")
    assert told.chosen.shape == told.probabilities.shape == (6, 2)
    np.testing.assert_array_equal(told.chosen, told.probabilities > 0.5)
    expectation = policies(with_test_policy(grown, "expectation"), tf.data.Dataset.from_tensors(pictures))
    np.testing.assert_allclose(expectation.chosen, told.probabilities, atol=1e-6)
    with pytest.raises(MammoError, match="has no policy network"):
        policies(resnet_patch((32, 32, 1), (1,), 4), pictures)
    with pytest.raises(MammoError, match="has no policy network"):
        with_test_policy(resnet_patch((32, 32, 1), (1,), 4), "drawn")


def test_what_is_done_to_a_network_can_be_done_to_it(grown: keras.Model) -> None:
    pictures = _pictures()
    mean = np.mean([grown(pictures[:, ::up, ::left]) for up in (1, -1) for left in (1, -1)], axis=0)
    np.testing.assert_allclose(flip_averaged(grown)(pictures), mean, atol=1e-5)
    assert activation_map_model(grown)(pictures).shape == (6, 4, 4, 1)
    larger = rebuild(grown, input_shape=(48, 64, 1))
    assert larger(_pictures(2, 48, 64)).shape == (2, 2)
    wide = spottune(resnet_patch((32, 32, 1), (1,), 256))
    assert sum("Winograd" in type(layer).__name__ for _, layer in named_layers(with_winograd(wide))) == 3


def test_a_start_model_takes_the_place_of_what_it_is_made_out_of(grown: keras.Model) -> None:
    wanted = SpotTune(ResNetPatch())
    assert started_as(wanted, resnet_patch((32, 32, 1), (1,), 4)) == ResNetPatch()
    assert started_as(wanted, grown) == wanted
    assert started_as(ResNetPatch(), grown) == ResNetPatch()
    assert SpotTune(ResNetPatch()).small().network == ResNetPatch().small()
    assert SpotTune(ResNetPatch((1,), 4), 2.0).build((32, 32, 1)).get_layer("policy").temperature == 2.0


def test_what_it_cannot_take_is_told(grown: keras.Model) -> None:
    patch = resnet_patch((32, 32, 1), (1,), 4)
    for model in (end2end(input_shape=(128, 128, 3), width=1 / 32), grown, described(rebuild(patch), None)):
        with pytest.raises(MammoError, match="names no residual blocks") as caught:
            spottune(model)
        assert caught.value.code == "cannot_grow"
    for wrong in ({"temperature": 0.0}, {"temperature": float("inf")}, {"test_policy": "mean"}):
        with pytest.raises(MammoError) as caught:
            spottune(patch, **wrong)
        assert caught.value.code == "spottune_wrong"
    pictures = keras.Input((8, 8, 4))
    tensor = layers.Identity(name="stem")(pictures)
    first = layers.ReLU(name="one_end")(layers.Add()([tensor, layers.DepthwiseConv2D(3, padding="same")(tensor)]))
    model = keras.Model(pictures, layers.ReLU(name="two_end")(layers.Add()([first, first])))
    with pytest.raises(MammoError, match="cannot keep the DepthwiseConv2D"):
        spottune(described(model, Tiny()))


@pytest.mark.long
def test_the_jax_backend_gives_the_same_outputs(grown: keras.Model, tmp_path: Path) -> None:
    """Models use `keras.ops` alone; checked where JAX is installed."""
    pytest.importorskip("jax")
    grown.save(tmp_path / "model.keras")
    np.save(tmp_path / "pictures.npy", _pictures())
    code = (
        "import keras, numpy as np, mammo_tf.models;"
        f"m = keras.models.load_model(r'{tmp_path}/model.keras'); x = np.load(r'{tmp_path}/pictures.npy');"
        f"np.save(r'{tmp_path}/outputs.npy', m.predict(x, verbose=0));"
        "m.compile('adam', 'sparse_categorical_crossentropy'); m.fit(x, np.arange(6) % 2, epochs=2, verbose=0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), grown(_pictures()), atol=1e-5)
