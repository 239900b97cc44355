"""Swin-Unet against the published network: logits, activations, gradients, counts; files, backends, sizes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.models import SwinUnet, load_torch_weights, rebuild, swin_unet
from mammo_tf.models.groups import matching_layers
from mammo_tf.models.networks import Network, description_of
from mammo_tf.models.normalization import MultiLayerNormalization
from mammo_tf.models.swin_layers import (
    DepthToSpace,
    DropPath,
    Mlp,
    SpaceToDepth,
    WindowAttention,
    position_index,
    shift_mask,
)

CASES = ("sq64_w4_c1", "sq64_w4_c3_noqkvbias_ape", "rect64x128_w4_c1", "sq128_w8_c1_tokens", "sq224_w7_c1")
ARGUMENTS = {
    "patch_size": "patch_size", "num_classes": "classes", "embed_dim": "embed_dim", "depths": "depths",
    "num_heads": "heads", "window_size": "window", "mlp_ratio": "mlp_ratio", "qkv_bias": "qkv_bias",
    "qk_scale": "qk_scale", "patch_norm": "patch_norm", "ape": "absolute_position",
}  # fmt: skip


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def built(config: dict[str, Any], size: tuple[int, ...], **more: Any) -> keras.Model:
    named = {ours: config[theirs] for theirs, ours in ARGUMENTS.items() if theirs in config}
    named = {name: tuple(value) if isinstance(value, list) else value for name, value in named.items()}
    ending = "tokens" if config.get("final_upsample") == "none" else "logits"
    return swin_unet(size, **{"ending": ending, **named, **more})


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "swin_unet"


def loaded(folder: Path, case: str, **more: Any) -> tuple[keras.Model, dict[str, np.ndarray], dict[str, Any]]:
    answers, known = read(folder / f"{case}.npz"), json.loads((folder / "cases.json").read_text())[case]
    model = built(known["config"], np.moveaxis(answers["input"], 1, -1).shape[1:], **more)
    load_torch_weights(model, read(folder / f"{case}_weights.npz"))
    return model, answers, known


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_published_network(folder: Path, case: str) -> None:
    model, answers, known = loaded(folder, case)
    assert model.count_params() == known["params"]
    norms = [layer for layer in model.layers if isinstance(layer, MultiLayerNormalization)]
    assert len(norms) == known["n_layernorm"]
    assert sum(layer.count_params() for layer in norms) == known["ln_params"]
    given = np.moveaxis(answers["input"], 1, -1)
    acts = {name.removeprefix("act/"): values for name, values in answers.items() if name.startswith("act/")}
    ends = {
        "patch_embed": "patch_embed.norm" if known["config"].get("patch_norm", True) else "patch_embed.proj",
        "norm": "norm", "norm_up": "norm_up", "layers_up.0": "layers_up.0.norm",
    }  # fmt: skip
    looked = {act: name for act, name in ends.items() if act in acts}
    looked |= {act: act for act in acts if act.startswith("concat_back_dim")}
    outputs = [model.get_layer(name).output for name in looked.values()]
    found = keras.Model(model.inputs[0], [model.outputs[0], *outputs, model.outputs[0]])(given)
    own = np.asarray(found[0])
    if "tokens" in answers:
        np.testing.assert_allclose(own.reshape(answers["tokens"].shape), answers["tokens"], atol=5e-5)
    else:
        np.testing.assert_allclose(np.moveaxis(own, -1, 1), answers["logits"], atol=5e-5)
    assert looked or not acts
    for act, values in zip(looked, found[1:-1], strict=True):
        np.testing.assert_allclose(np.asarray(values).reshape(acts[act].shape), acts[act], atol=5e-5, err_msg=act)


def test_gradients_are_those_of_the_published_network(folder: Path) -> None:
    model, answers, _ = loaded(folder, "sq64_w4_c1", drop_path=0.0)
    given = tf.constant(np.moveaxis(answers["input"], 1, -1))
    seed = np.moveaxis(answers["grad_seed"], 1, -1)
    wanted = {name.removeprefix("grad/"): values for name, values in answers.items() if name.startswith("grad/")}
    variables = dict(_torch_variables(model))
    names = [name for name in wanted if name != "input"]
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(model(given, training=False) * seed)
    slopes = tape.gradient(total, [given, *(variables[name][0].value for name in names)])
    assert len(names) > 10
    for name, slope in zip(["input", *names], slopes, strict=True):
        found = np.asarray(tf.convert_to_tensor(slope))
        if name == "input":
            found = np.moveaxis(found, -1, 1)
        elif variables[name][1] is True:
            found = found.transpose(3, 2, 0, 1) if found.ndim == 4 else found.T
        expected = wanted[name]
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4 * largest, err_msg=name)


def _torch_variables(model: keras.Model) -> Any:
    from mammo_tf.models.swin_unet import _torch_weights

    for layer in model.layers:
        for name, how in _torch_weights(layer).items():
            yield f"{layer.name}.{name}", how


def _with(layer: Any, pieces: dict[str, np.ndarray], shape: tuple[int, ...], prefix: str = "") -> Any:
    layer.build((None, *shape))
    for name, (variable, turned) in layer.torch_weights().items():
        values = pieces[f"w/{prefix}{name}"]
        variable.assign(values.T if turned else values)
    return layer


def _slope(layer: Any, pieces: dict[str, np.ndarray], tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    given = tf.constant(tensor)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = layer(given)
        total = tf.reduce_sum(output * pieces["grad_seed"].reshape(output.shape))
    return np.asarray(output), np.asarray(tape.gradient(total, given))


def test_pieces_are_those_of_the_published_network(folder: Path) -> None:
    pieces = read(folder / "piece_mlp.npz")
    mlp = _with(Mlp(30), pieces, pieces["x"].shape[1:])
    output, slope = _slope(mlp, pieces, pieces["x"])
    np.testing.assert_allclose(output, pieces["y"], atol=1e-5)
    np.testing.assert_allclose(slope, pieces["grad/x"], atol=1e-4 * np.abs(pieces["grad/x"]).max())

    pieces = read(folder / "piece_window_attention.npz")  # windows as pictures of one window each
    count, places, features = pieces["x"].shape
    attention = _with(WindowAttention(3, 4), pieces, (4, 4, features))
    output, slope = _slope(attention, pieces, pieces["x"].reshape(count, 4, 4, features))
    np.testing.assert_allclose(output.reshape(pieces["y"].shape), pieces["y"], atol=1e-5)
    largest = np.abs(pieces["grad/x"]).max()
    np.testing.assert_allclose(slope.reshape(pieces["grad/x"].shape), pieces["grad/x"], atol=1e-4 * largest)
    assert places == 16


@pytest.mark.parametrize(("name", "size", "window", "shift"), [
    ("block_noshift", (8, 12), 4, 0), ("block_shift", (8, 12), 4, 2), ("block_shift_w7", (14, 14), 7, 3),
    ("block_window_ge_resolution", (4, 4), 4, 0),
])  # fmt: skip
def test_blocks_are_those_of_the_published_network(
    folder: Path, name: str, size: tuple[int, int], window: int, shift: int
) -> None:
    pieces = read(folder / f"piece_{name}.npz")
    features = pieces["x"].shape[-1]
    heads = pieces["w/attn.relative_position_bias_table"].shape[1]
    hidden = pieces["w/mlp.fc1.weight"].shape[0]
    attention = _with(WindowAttention(heads, window, shift), pieces, (*size, features), "attn.")
    mlp = _with(Mlp(hidden), pieces, (*size, features), "mlp.")
    norms = []
    for number in (1, 2):
        norm = MultiLayerNormalization()
        norm.build((None, *size, features))
        norm.gamma.assign(pieces[f"w/norm{number}.weight"][None])
        norm.beta.assign(pieces[f"w/norm{number}.bias"][None])
        norms.append(norm)

    def block(tensor: Any) -> Any:
        tensor = tensor + attention(norms[0](tensor))
        return tensor + mlp(norms[1](tensor))

    output, slope = _slope(block, pieces, pieces["x"].reshape(-1, *size, features))
    np.testing.assert_allclose(output.reshape(pieces["y"].shape), pieces["y"], atol=1e-5)
    largest = np.abs(pieces["grad/x"]).max()
    np.testing.assert_allclose(slope.reshape(pieces["grad/x"].shape), pieces["grad/x"], atol=1e-4 * largest)


def test_tables_and_orders_are_exact(folder: Path) -> None:
    tables = read(folder / "index_tables.npz")
    for window in (2, 4, 7, 8):
        np.testing.assert_array_equal(position_index(window), tables[f"relative_position_index_{window}"])
    for rows, columns, window, shift in ((8, 12, 4, 2), (14, 14, 7, 3), (16, 24, 8, 4)):
        found = shift_mask(rows, columns, window, shift)
        np.testing.assert_array_equal(found, tables[f"attn_mask_{rows}x{columns}_w{window}_s{shift}"])
    order = read(folder / "expand_order.npz")
    for factor in (2, 4):
        found = np.asarray(DepthToSpace(factor)(order[f"in{factor}"].astype(np.float32)))
        np.testing.assert_array_equal(found, order[f"out{factor}"])


def test_counts_of_the_known_configurations(folder: Path) -> None:
    assert swin_unet((224, 224, 3), 9, window=7).count_params() == 27_168_900
    assert "27168900" in (folder / "parameter_counts.json").read_text()
    small = swin_unet((64, 64, 1), embed_dim=12, window=4)
    three = swin_unet((64, 64, 1), embed_dim=12, window=4, branches=3)
    gains = sum(layer.count_params() for layer in small.layers if isinstance(layer, MultiLayerNormalization))
    trained = sum(int(np.prod(weight.shape)) for weight in three.trainable_weights)
    assert trained == small.count_params() + 2 * gains


def test_merging_takes_rows_first() -> None:
    picture = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(np.asarray(SpaceToDepth()(picture))[0, 0, 0], [0, 4, 1, 5])


def test_dropped_paths_are_whole_examples() -> None:
    layer = DropPath(0.5)
    tensor = np.ones((200, 2, 2, 3), np.float32)
    found = np.asarray(layer(tensor, training=True)).reshape(200, -1)
    assert set(np.unique(found)) == {0.0, 2.0}
    assert (found.min(axis=1) == found.max(axis=1)).all()
    assert 60 < (found[:, 0] == 0).sum() < 140
    np.testing.assert_array_equal(layer(tensor), tensor)


def small() -> tuple[SwinUnet, keras.Model, list[np.ndarray], np.ndarray]:
    """A network of two branches, what it is given, and its answer."""
    wanted = SwinUnet(embed_dim=12, depths=(1, 1, 1, 1), window=4, branches=2)
    keras.utils.set_random_seed(0)
    model = wanted.build((32, 32, 1))
    given = [np.random.default_rng(0).random((2, 32, 32, 1)).astype(np.float32), np.array([0, 1])]
    return wanted, model, given, np.asarray(model(given))


@pytest.mark.long
def test_served(tmp_path: Path) -> None:
    _, model, given, expected = small()
    model.export(tmp_path / "served", verbose=False)
    bundle = tf.saved_model.load(str(tmp_path / "served"))
    served = bundle.serve([given[0], given[1].astype(np.int32)])
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_saved_and_rebuilt(tmp_path: Path) -> None:
    wanted, model, given, expected = small()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(np.asarray(again(given)), expected, atol=1e-6)
    copy = rebuild(model, dtype="mixed_bfloat16")
    half = np.asarray(copy(given))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=0.05)
    assert description_of(copy) == wanted
    assert convert(Network, to_json(wanted), "network") == wanted
    assert matching_layers(model, ("layers.*",))
    assert matching_layers(model, ("normalisation",)) >= {"norm", "layers.0.blocks.0.norm1"}
    assert wanted.small().embed_dim * sum(wanted.small().depths) < SwinUnet().embed_dim * 8


@pytest.mark.parametrize(
    ("size", "words"),
    [((66, 64), r"Take 64x64 or (96x64|68x64|64x96|128x64|160x64)"), ((72, 72), "Take 64x64 or "),
     ((512, 300), "window")],
)  # fmt: skip
def test_a_size_that_the_windows_do_not_divide(size: tuple[int, int], words: str) -> None:
    with pytest.raises(MammoError) as raised:
        swin_unet((*size, 1), embed_dim=12, window=8)
    assert raised.value.code == "size_undivided"
    assert re.search(words, f"{raised.value.sentence} {raised.value.remedy}")
    for text in re.findall(r"(\d+)x(\d+)", raised.value.remedy):
        assert SwinUnet(embed_dim=12, window=8).windows((int(text[0]), int(text[1])))


def test_weights_of_another_network_are_named(folder: Path) -> None:
    model, _, known = loaded(folder, "sq64_w4_c1")
    before = model.get_weights()
    arrays = read(folder / "sq64_w4_c1_weights.npz")
    arrays["head.weight"] = arrays.pop("output.weight")
    arrays["norm.weight"] = arrays["norm.weight"][:5]
    with pytest.raises(MammoError) as raised:
        load_torch_weights(model, arrays)
    for part in ("output.weight is missing", "norm.weight is [5]", "head.weight is of no use here"):
        assert part in raised.value.sentence
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert known["config"]["window_size"] == 4


def test_wrong_descriptions() -> None:
    for wrong, words in (
        ("channel", "is one of element, token, not 'channel'"),
        ("token", "belongs to several branches"),
    ):
        with pytest.raises(MammoError, match=words) as raised:
            SwinUnet(reduction=wrong)
        assert raised.value.code == "network_wrong"
    for wrong in ({"heads": (5, 6, 12, 24)}, {"depths": (0, 1, 1, 1)}, {"drop_path": 1.0}, {"mlp_ratio": 0.0}):
        with pytest.raises(MammoError, match="heads|1 or more|drop_path|mlp_ratio"):
            SwinUnet(**wrong)
    with pytest.raises(MammoError, match="starts from nothing|takes nothing"):
        SwinUnet().grow(keras.Sequential(name="other"), (64, 64, 1))


@pytest.mark.long
def test_the_same_logits_on_jax(folder: Path) -> None:
    pytest.importorskip("jax")
    code = """
import sys, jax, keras, numpy as np
for kind in ("TruncatedNormal", "RandomNormal", "RandomUniform", "VarianceScaling"):  # read below; drawing is slow
    getattr(keras.initializers, kind).__call__ = lambda self, shape, dtype=None, **_: np.zeros(shape, "float32")
from mammo_tf.models.swin_unet import load_torch_weights, swin_unet
folder = sys.argv[1]
answers, weights = (dict(np.load(f"{folder}/sq64_w4_c1{more}.npz")) for more in ("", "_weights"))
model = swin_unet((64, 64, 1), embed_dim=12, window=4, branches=2, ending="logits")
load_torch_weights(model, weights)
values = [[one.value for one in part] for part in (model.trainable_variables, model.non_trainable_variables)]
given = [np.moveaxis(answers["input"], 1, -1), np.array([0, 1])]
found = np.asarray(jax.jit(lambda *taken: model.stateless_call(*taken)[0])(*values, given))
print(float(np.abs(np.moveaxis(found, -1, 1) - answers["logits"]).max()))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.strip().splitlines()[-1]) < 5e-5
