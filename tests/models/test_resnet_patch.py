"""The patch network of method A, layer for layer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import End2End, PatchClassifier, ResNetPatch, described, description_of, resnet_patch
from mammo_tf.models.groups import layer_groups, set_trainable

sys.path.insert(0, str(Path(__file__).parent))
from check_model import check_model  # noqa: E402 - it lies next to this file

# name, kernels, bias, filters, parameters, stride: counted by hand as rows x columns x channels in x channels out
TABLE = """
stem            7x7    1   64      3136 2
block_1_shortcut 1x1  64  256     16384 1
block_1_conv_1  1x1   64   64      4096 1
block_1_conv_2  3x3   64   64     36864 1
block_1_conv_3  1x1   64  256     16384 1
block_2_conv_1  1x1  256   64     16384 1
block_2_conv_2  3x3   64   64     36864 1
block_2_conv_3  1x1   64  256     16384 1
block_3_shortcut 1x1 256  512    131072 2
block_3_conv_1  1x1  256  128     32768 1
block_3_conv_2  3x3  128  128    147456 2
block_3_conv_3  1x1  128  512     65536 1
block_4_conv_1  1x1  512  128     65536 1
block_4_conv_2  3x3  128  128    147456 1
block_4_conv_3  1x1  128  512     65536 1
block_5_conv_1  1x1  512  128     65536 1
block_5_conv_2  3x3  128  128    147456 1
block_5_conv_3  1x1  128  512     65536 1
block_6_shortcut 1x1 512 1024    524288 2
block_6_conv_1  1x1  512  256    131072 1
block_6_conv_2  3x3  256  256    589824 2
block_6_conv_3  1x1  256 1024    262144 1
block_7_conv_1  1x1 1024  256    262144 1
block_7_conv_2  3x3  256  256    589824 1
block_7_conv_3  1x1  256 1024    262144 1
block_8_conv_1  1x1 1024  256    262144 1
block_8_conv_2  3x3  256  256    589824 1
block_8_conv_3  1x1  256 1024    262144 1
block_9_conv_1  1x1 1024  256    262144 1
block_9_conv_2  3x3  256  256    589824 1
block_9_conv_3  1x1  256 1024    262144 1
"""


def _pictures(rows: int = 64, columns: int = 48, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 30, (2, rows, columns, channels)).astype(np.float32)


def test_layers_and_parameters_are_those_of_the_table() -> None:
    model = resnet_patch()
    convolutions = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    rows = [line.split() for line in TABLE.strip().splitlines()]
    assert set(convolutions) == {row[0] for row in rows}
    for name, size, channels, filters, parameters, stride in rows:
        layer = convolutions[name]
        assert layer.kernel_size == tuple(map(int, size.split("x"))), name
        assert layer.kernel.shape[2:] == (int(channels), int(filters)), name
        assert layer.count_params() == int(parameters), name
        assert layer.strides == (int(stride),) * 2, name
        assert model.get_layer(f"{name}_norm").count_params() == 4 * int(filters)
    normalised = sum(int(row[3]) for row in rows)
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == sum(int(row[4]) for row in rows) + 2 * normalised + 2 * 1024 + 2 == 5_954_242
    assert model.count_params() - trained == 2 * normalised == 22_144
    assert 1 + sum("shortcut" not in name for name in convolutions) == 29
    assert model.input.shape == (None, 512, 512, 1)
    assert model.output.shape == (None, 2)
    sizes = [model.get_layer(name).output.shape[1:] for name in ("stem", "stem_pool", "block_2", "block_5", "block_9")]
    assert sizes == [(256, 256, 64), (128, 128, 64), (128, 128, 256), (64, 64, 512), (32, 32, 1024)]


@pytest.mark.parametrize(("shape", "blocks"), [((33, 70, 3), (2, 1))])
def test_what_every_model_must_pass(shape: tuple, blocks: tuple, tmp_path: Path) -> None:
    check_model(resnet_patch(shape, blocks, width=4), tmp_path)


def test_the_description_travels_and_builds_the_same() -> None:
    model = resnet_patch((64, 64, 1), (1, 2), 4)
    said = description_of(model)
    assert said == ResNetPatch((1, 2), 4)
    assert said.build((64, 64, 1)).count_params() == model.count_params()
    assert said.small() == ResNetPatch((1, 1), 4)
    with pytest.raises(MammoError, match="takes nothing over"):
        said.grow(model, (64, 64, 1))


def test_blocks_are_parts() -> None:
    groups = layer_groups(resnet_patch((64, 64, 1), (1, 2), 4))
    first = {f"block_1_{name}{norm}" for name in ("conv_1", "conv_2", "conv_3", "shortcut") for norm in ("", "_norm")}
    assert set(groups["block_1"]) == first
    assert set(groups["block_3"]) == {f"block_3_conv_{n}{norm}" for n in (1, 2, 3) for norm in ("", "_norm")}
    assert groups["output"] == ("output",)
    blocks = {layer for number in (1, 2, 3) for layer in groups[f"block_{number}"]}
    assert set(groups["all"]) == blocks | {"stem", "stem_norm", "output"}
    assert len(groups["normalisation"]) == 1 + 3 * 3 + 2


@pytest.mark.parametrize(
    "network", [End2End("resnet50", "512-512-1024x2", 1 / 32), PatchClassifier("resnet50", width=1 / 32)]
)
def test_the_blocks_of_resnet50_are_parts(network: End2End | PatchClassifier) -> None:
    model = network.build((64, 64, 1))
    groups = layer_groups(model)
    prefix = "model_1/" if isinstance(network, End2End) else ""
    inside = {f"{prefix}{kind}4b_branch2{unit}" for kind in ("res", "bn") for unit in "abc"}
    assert set(groups["res4b"]) == inside
    assert set(groups["res5a"]) == {
        f"{prefix}{kind}5a_branch{unit}" for kind in ("res", "bn") for unit in ("1", "2a", "2b", "2c")
    }
    assert sum(map(len, network.residual_stages())) == 16
    if prefix:
        assert not any(part.startswith("model_1") for part in (*groups["block_1"], *groups["block_2"]))
    assert "res4b" in groups
    set_trainable(model, ("res4b",))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) > 0


def test_an_undescribed_model_has_no_residual_blocks() -> None:
    assert "block_1" not in layer_groups(described(resnet_patch((64, 64, 1), (1,), 4), None))


def test_decay_of_the_kernels_is_an_argument() -> None:
    model = resnet_patch((64, 64, 1), (1,), 4, weight_decay=0.01)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert float(sum(model.losses)) == pytest.approx(
        0.01 * sum(float((kernel**2).sum()) for kernel in kernels), rel=1e-5
    )


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(MammoError, match="15x64 pixels are too few") as caught:
        resnet_patch((15, 64, 1))
    assert "16 or more" in caught.value.remedy
    for blocks in ((), (2, 0, 1)):
        with pytest.raises(MammoError, match="one block or more"):
            resnet_patch(blocks=blocks)
    with pytest.raises(MammoError, match="one filter or more, up to 10000, not 0"):
        resnet_patch(width=0)
    for decay in (-1e-4, float("nan")):
        with pytest.raises(MammoError, match="weight_decay of a resnet_patch is 0 or more"):
            ResNetPatch(weight_decay=decay)


@pytest.mark.long
def test_the_jax_backend_gives_the_same_outputs(tmp_path: Path) -> None:
    """Models use `keras.ops` alone; checked where JAX is installed."""
    pytest.importorskip("jax")
    model = resnet_patch((64, 48, 1), (1, 1), 4)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "pictures.npy", _pictures())
    code = (
        "import keras, numpy as np, mammo_tf.models;"
        f"m = keras.models.load_model(r'{tmp_path}/model.keras');"
        f"np.save(r'{tmp_path}/outputs.npy', m.predict(np.load(r'{tmp_path}/pictures.npy'), verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), model(_pictures()), atol=1e-5)
