"""Statistics that drift over the test set: one batch against the published network, then several, and refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import UNet, rebuild
from mammo_tf.models.branch_network import BranchDistance, asking_every_branch, domain_statistics
from mammo_tf.models.branches import branch_distances
from mammo_tf.models.drifting import drifting
from mammo_tf.models.networks import described
from mammo_tf.models.normalization import MultiBatchNormalization
from mammo_tf.models.small_unet import SmallUNet

sys.path.insert(0, str(Path(__file__).parent))
from test_unets import dual, read  # noqa: E402 - it lies next to this file

NORM, PARTS = ("running_mean", "running_var"), ("mean", "var")  # as the answers call them


@pytest.fixture(scope="module")
def answers(golden: Path) -> dict[str, np.ndarray]:
    return read(golden / "baselines" / "unet2d_dual_bn.npz")


@pytest.fixture(scope="module")
def pictures(answers: dict[str, np.ndarray]) -> np.ndarray:
    return 2 * np.moveaxis(answers["input_x4095"], 1, -1).astype(np.float32) / 4095 - 1


def published(answers: dict[str, np.ndarray]) -> keras.Model:
    """The published network, whose branches count as trained."""
    model = described(dual(answers), SmallUNet(classes=2, width=2, norm="batch", branches=2))
    for layer in norms(model):
        layer.counts.assign([1, 1])
    return model


def norms(model: keras.Model) -> list[MultiBatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, MultiBatchNormalization)]


def updated(answers: dict[str, np.ndarray], layer: MultiBatchNormalization) -> np.ndarray:
    """What the published layer has after one batch in each branch, `[branches, 2, features]`."""
    names = [[f"branch{one}/updated/{layer.name}.bns.{one}.{part}" for part in NORM] for one in (0, 1)]
    return np.array([[answers[name] for name in branch] for branch in names])


def test_a_batch_is_answered_and_remembered_as_published(answers: dict[str, np.ndarray], pictures: np.ndarray) -> None:
    """Masks by batch statistics; distances between the updated running statistics and the trained ones."""
    model = published(answers)
    trained, copy = domain_statistics(model), rebuild(model)
    network = drifting(copy)
    masks, distances = network.predict_on_batch(pictures)
    for branch in (0, 1):
        np.testing.assert_allclose(masks[:, branch], answers[f"branch{branch}/batch_statistics"][:, 1], atol=2e-5)
    moved = [updated(answers, layer) for layer in norms(copy)]
    expected = branch_distances(trained, moved, "dual_normalization")
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, np.tile(expected, (3, 1)), rtol=1e-4)
    for layer, statistics in zip(norms(copy), moved, strict=True):
        np.testing.assert_allclose(np.asarray(layer.statistics()), statistics, rtol=1e-4, atol=1e-5)
    for layer, before in zip(norms(model), trained, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.statistics()), before, "the model itself stays as it is")


def test_distances_drift_over_three_batches_as_published(golden: Path) -> None:
    """From the running statistics that the published network had behind each batch; the smallest distance wins."""
    known = read(golden / "dual_norm" / "bn_branch_statistics.npz")
    layers = sum(name.startswith("trained/branch0/mean/") for name in known)

    def of(where: str) -> np.ndarray:
        both = [
            np.concatenate([known[f"{where}/branch{one}/{part}/{at:02d}"] for at in range(layers) for part in PARTS])
            for one in (0, 1)
        ]
        return np.stack(both).astype(np.float32)

    sizes = [len(known[f"trained/branch0/mean/{at:02d}"]) for at in range(layers) for _ in PARTS]
    layer = BranchDistance(2, sizes, "dual_normalization")
    layer.build((None, sum(sizes)))
    layer.domain.assign(of("trained"))
    found = np.concatenate([np.asarray(layer(of(f"batch{batch}"))) for batch in range(3)])
    expected = [[float(known[f"batch{batch}/branch{one}/euclidean64"]) for one in (0, 1)] for batch in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (np.diff(found, axis=0) > 0).all(), "never restored"


def test_statistics_are_never_restored(answers: dict[str, np.ndarray], pictures: np.ndarray) -> None:
    """The same batch again is further from the trained statistics, and what came before decides."""
    network = drifting(rebuild(published(answers)))
    distances = [network.predict_on_batch(pictures)[1][0] for _ in range(4)]
    assert (np.diff(distances, axis=0) > 0).all()
    anew = drifting(rebuild(published(answers)))
    np.testing.assert_allclose(anew.predict_on_batch(pictures)[1][0], distances[0], rtol=1e-6)
    still = asking_every_branch(published(answers), "dual_normalization")
    one, other = (np.asarray(still.predict_on_batch(pictures)[1]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_one_picture_moves_by_a_tenth(answers: dict[str, np.ndarray], pictures: np.ndarray) -> None:
    copy = rebuild(published(answers))
    first = norms(copy)[0]
    before = np.asarray(first.statistics())
    seen = np.asarray(keras.Model(copy.inputs, copy.get_layer("convd1.conv1").output)([pictures[:1], np.array([0])]))
    drifting(copy).predict_on_batch(pictures[:1])
    own = np.stack([seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2), ddof=1)])
    np.testing.assert_allclose(np.asarray(first.statistics()), 0.9 * before + 0.1 * own, rtol=1e-4)


def test_what_cannot_drift() -> None:
    for wanted, words in (
        (UNet(width=2, levels=2, norm="layer", branches=2), "no batch normalisation with branches"),
        (UNet(width=2, levels=2), "no batch normalisation with branches"),
        (UNet(width=2, levels=2, branches=2, dropout=0.5), "has dropout, which would draw"),
    ):
        with pytest.raises(MammoError, match=words) as raised:
            drifting(wanted.build((16, 16, 1)))
        assert raised.value.code == "drift_impossible"
    with pytest.raises(MammoError, match="never trained"):
        drifting(UNet(width=2, levels=2, branches=2).build((16, 16, 1)))
