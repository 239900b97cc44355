"""The seed decides the weights that a network starts from, and no two weights start alike."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest

from mammo_tf.models import End2End, MNet, PatchClassifier, ResNetPatch, ResNetUNet, SmallUNet, SwinUnet, UNet

SWIN = SwinUnet(classes=2, embed_dim=4, depths=(2, 2, 2, 2), heads=(1, 1, 2, 2), window=2)
NETWORKS = [
    End2End(width=0.0625), PatchClassifier(width=0.0625), ResNetPatch(width=4), SmallUNet(width=2), UNet(width=2),
    MNet(width=2), ResNetUNet(width=4), SWIN,
]  # fmt: skip


def drawn(network: Any, seed: int) -> list[np.ndarray]:
    """Weights that are not constant, from a network's building."""
    keras.utils.set_random_seed(seed)
    side, channels = (128 if network.kind == "end2end" else 64), (1 if network is SWIN else 3)
    model = network.build((side, side, channels))
    return [array for array in model.get_weights() if array.size > 3 and np.unique(array).size > 2]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_a_seed_decides_every_weight_and_no_two_are_alike(network: Any) -> None:
    first, again, other = drawn(network, 1), drawn(network, 1), drawn(network, 2)
    assert len(first) > 5
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).mean() > 0.9, "drawn before the seed was set"
    alike = Counter(array.tobytes() for array in first)
    assert alike.most_common(1)[0][1] == 1, "two weights share an initialiser"
