"""Swin Transformers of keras-hub: the same features from the same weights; installed by `make setup-long`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import MultiLayerNormalization, load_swin_encoder, swin_unet
from mammo_tf.models.swin_presets import ENCODER

SHAPE = (128, 128, 3)


def ours(channels: int = 3, branches: int = 1, **more: object) -> keras.Model:
    arguments = {"embed_dim": 12, "heads": (1, 2, 4, 4), "window": 4, "depths": (2, 1, 3, 2), **more}
    return swin_unet((*SHAPE[:2], channels), branches=branches, **arguments)


def test_something_else_is_refused() -> None:
    with pytest.raises(MammoError) as caught:
        load_swin_encoder(keras.Sequential(), keras.Sequential(name="other"))
    assert caught.value.code == "backbone_unknown"


@pytest.mark.long
def test_the_features_of_a_backbone_are_those_of_the_encoder() -> None:
    """Patch embedding, shifted and unshifted windows, merging and the last normalisation in one."""
    hub = pytest.importorskip("keras_hub", reason="make setup-long installs keras-hub")
    keras.utils.set_random_seed(0)
    backbone = hub.models.SwinTransformerBackbone(
        image_shape=SHAPE, embed_dim=12, depths=(2, 1, 3, 2), num_heads=(1, 2, 4, 4), window_size=4
    )
    generator = np.random.default_rng(0)
    for weight in backbone.weights:
        if weight.dtype == "float32":
            weight.assign(weight + 0.1 * generator.standard_normal(weight.shape).astype(np.float32))
    pictures = generator.random((2, *SHAPE)).astype(np.float32)
    expected = np.asarray(backbone(pictures))
    model = ours()
    before = {weight.path: np.asarray(weight) for weight in model.weights}
    load_swin_encoder(model, backbone)
    encoder = keras.Model(model.inputs[0], model.get_layer("norm").output)
    np.testing.assert_allclose(np.asarray(encoder(pictures)).reshape(expected.shape), expected, atol=1e-5)
    for weight in model.weights:
        moved = not np.array_equal(before[weight.path], np.asarray(weight))
        assert moved == weight.path.replace("/", ".").startswith(ENCODER), weight.path

    grey = ours(channels=1, branches=2)
    load_swin_encoder(grey, backbone)
    encoder = keras.Model(grey.inputs, grey.get_layer("norm").output)
    same = np.asarray(backbone(pictures[..., :1].repeat(3, axis=-1)))
    found = np.asarray(encoder([pictures[..., :1], np.array([0, 1])]))
    np.testing.assert_allclose(found.reshape(same.shape), same, atol=1e-5)
    assert all(layer.branches == 2 for layer in grey.layers if isinstance(layer, MultiLayerNormalization))
    for other in ({"window": 2}, {"depths": (2, 2, 2, 2)}, {"patch_norm": False}):
        with pytest.raises(MammoError) as caught:
            load_swin_encoder(ours(**other), backbone)
        assert caught.value.code == "weights_differ"
