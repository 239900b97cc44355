"""Branches: statistics, distances and choice against the published answers, in arrays and in the network."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.models import (
    SmallUNet,
    SwinUnet,
    asking_every_branch,
    branch_distances,
    load_torch_weights,
    select_branch,
    swin_unet,
)
from mammo_tf.models.branch_network import PictureMean, domain_statistics, with_statistics
from mammo_tf.models.branches import corrective_mean, input_statistics, with_corrective
from mammo_tf.models.networks import described, description_of
from mammo_tf.models.normalization import MultiBatchNormalization, MultiLayerNormalization

NAMES = {
    "cosine": "one_minus_similarity_joint", "literal": "similarity_joint", "euclidean": "euclid_joint",
    "cosine_separate": "one_minus_similarity_separate", "euclidean_separate": "euclid_separate",
}  # fmt: skip


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "dual_norm"


@pytest.mark.parametrize("kind", ["scalar_stats_9layers", "channel_stats_6layers"])
def test_equations_16_to_20(folder: Path, kind: str) -> None:
    answers = read(folder / "paper_eq16_20.npz")
    count = sum(name.startswith(f"{kind}/target/") for name in answers)
    domain = [np.stack([answers[f"{kind}/source{d}/layer{layer:02d}"] for d in range(3)]) for layer in range(count)]
    target = [np.stack([answers[f"{kind}/target/layer{layer:02d}"]] * 3) for layer in range(count)]
    nearest = json.loads((folder / "summary.json").read_text())["paper_eq16_20"][kind]["nearest_by_construction"]
    compared = 0
    for metric, name in NAMES.items():
        if f"{kind}/{name}" not in answers:
            continue
        expected = answers[f"{kind}/{name}"]
        np.testing.assert_allclose(branch_distances(domain, target, metric), expected, rtol=1e-12, atol=1e-13)
        compared += 1
    assert compared >= 4
    chosen = {metric: select_branch(domain, target, metric) for metric in ("cosine", "euclidean", "literal")}
    assert chosen["cosine"] == chosen["euclidean"] == nearest
    assert chosen["literal"] != chosen["cosine"], "equation 20 to the letter takes the least similar branch"


def test_distances_of_batch_statistics_as_published(folder: Path) -> None:
    answers = read(folder / "bn_branch_statistics.npz")
    layers = sum(name.startswith("trained/branch0/mean/") for name in answers)
    for batch in range(3):
        for branch in range(2):
            sides = []
            for where in (f"trained/branch{branch}", f"batch{batch}/branch{branch}"):
                sides.append([
                    np.stack([answers[f"{where}/{part}/{layer:02d}"] for part in ("mean", "var")])[None]
                    for layer in range(layers)
                ])  # fmt: skip
            found = branch_distances(*sides, metric="dual_normalization")
            np.testing.assert_allclose(found, answers[f"batch{batch}/branch{branch}/euclidean64"], rtol=1e-5)


@pytest.fixture(scope="module")
def branched(folder: Path, golden: Path) -> tuple[keras.Model, dict[str, np.ndarray]]:
    return branched_by(folder, golden, "element")


def branched_by(folder: Path, golden: Path, reduction: str) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """The golden network of three branches, and its answers."""
    answers = read(folder / "ln_branches.npz")
    model = swin_unet(
        (64, 64, 1), embed_dim=12, window=4, branches=3, drop_path=0.0, ending="logits", reduction=reduction
    )
    load_torch_weights(model, read(golden / "swin_unet" / "sq64_w4_c1_weights.npz"))
    for layer in model.layers:
        if isinstance(layer, MultiLayerNormalization):
            gains = [layer.gamma.numpy()[0], *(answers[f"branch{d}/{layer.name}.weight"] for d in (1, 2))]
            shifts = [layer.beta.numpy()[0], *(answers[f"branch{d}/{layer.name}.bias"] for d in (1, 2))]
            layer.gamma.assign(np.stack(gains))
            layer.beta.assign(np.stack(shifts))
    return model, answers


def pictures(answers: dict[str, np.ndarray], name: str) -> np.ndarray:
    return np.moveaxis(answers[f"{name}/input_x4096"], 1, -1).astype(np.float32) / 4096


def test_a_batch_of_mixed_branches_gives_the_logits_of_each(branched: tuple) -> None:
    model, answers = branched
    for target in ("target_mild_gamma", "target_inverted"):
        given_pictures = np.repeat(pictures(answers, target), 3, axis=0)
        found = np.moveaxis(np.asarray(model([given_pictures, np.arange(3)])), -1, 1)
        expected = np.concatenate([answers[f"{target}/branch{d}/logits"] for d in range(3)])
        np.testing.assert_allclose(found, expected, atol=1e-4)
        order = np.asarray(model([given_pictures, np.array([2, 0, 2])]))
        np.testing.assert_allclose(np.moveaxis(order, -1, 1), expected[[2, 0, 2]], atol=1e-4)


def trained_on_sources(model: keras.Model, answers: dict[str, np.ndarray]) -> None:
    """Statistics of the golden source batches, as training adds them up: branch by branch, in two steps."""
    for layer in model.layers:
        if hasattr(layer, "reset_statistics"):
            layer.reset_statistics()
    for branch in range(3):
        for picture in pictures(answers, f"source{branch}"):
            model([picture[None], np.array([branch])], training=True)


def test_statistics_and_distances_of_the_layers(branched: tuple, folder: Path) -> None:
    model, answers = branched
    order = json.loads((folder / "summary.json").read_text())["ln"]["order"]
    names = [layer.name for layer in model.layers if isinstance(layer, MultiLayerNormalization)]
    place = [names.index(name) for name in order]
    trained_on_sources(model, answers)
    domain = domain_statistics(model, plus=True)
    domain = np.stack(domain, axis=1)
    assert domain.shape == (3, 38, 3)
    for branch in range(3):
        expected = answers[f"source{branch}/element"].mean(axis=2)
        np.testing.assert_allclose(domain[branch][place][:, :2], expected, rtol=1e-4, atol=1e-5)
    expected = answers["corrective_mean_source"].mean(axis=1)
    np.testing.assert_allclose(domain[:, 0, 2], expected, rtol=1e-5)

    for target in ("target_mild_gamma", "target_inverted"):
        _, *statistics = with_statistics(model)([np.repeat(pictures(answers, target), 3, axis=0), np.arange(3)])
        found = np.stack([np.asarray(one) for one in statistics], axis=1)
        for branch in range(3):
            expected = answers[f"{target}/branch{branch}/element"][..., 0]
            np.testing.assert_allclose(found[branch][place], expected, rtol=1e-4, atol=1e-5)
        for reduction in ("element", "token", "channel"):
            sides = [_published(answers, side, reduction) for side in ("source", target)]
            for metric, name in NAMES.items():
                if f"{target}/{reduction}/{name}" in answers:
                    expected = answers[f"{target}/{reduction}/{name}"]
                    distances = branch_distances(*sides, metric)
                    np.testing.assert_allclose(
                        distances, expected, rtol=1e-6, atol=1e-12, err_msg=f"{reduction} {metric}"
                    )


def test_tokens_are_kept_compared_and_chosen_by(folder: Path, golden: Path, tmp_path: Path) -> None:
    """What each token is normalised by, meaned over tokens: as the answers have it, saved, and in the served choice."""
    model, answers = branched_by(folder, golden, "token")
    trained_on_sources(model, answers)
    model.save(tmp_path / "model.keras")
    model = described(keras.models.load_model(tmp_path / "model.keras", safe_mode=True), description_of(model))
    order = json.loads((folder / "summary.json").read_text())["ln"]["order"]
    names = [layer.name for layer in model.layers if isinstance(layer, MultiLayerNormalization)]
    place = [names.index(name) for name in order]
    domain = np.stack(domain_statistics(model), axis=1)
    for branch in range(3):
        expected = answers[f"source{branch}/token"].mean(axis=2)
        np.testing.assert_allclose(domain[branch][place], expected, rtol=1e-4, atol=1e-5)
        other = answers[f"source{branch}/element"].mean(axis=2)
        assert np.abs(domain[branch][place] - other).max() > 1e-2
    targets = ("target_mild_gamma", "target_inverted")
    both = np.concatenate([pictures(answers, name) for name in targets])
    for metric in ("cosine", "euclidean"):
        distances = np.asarray(asking_every_branch(model, metric)(both)[1])
        expected = np.stack([answers[f"{name}/token/{NAMES[metric]}"] for name in targets])
        np.testing.assert_allclose(distances, expected, rtol=1e-2)
        assert distances.argmin(axis=1).tolist() == expected.argmin(axis=1).tolist() == [0, 2]


def test_older_files_keep_the_digest_of_their_layers() -> None:
    assert "reduction" not in MultiLayerNormalization(3).get_config()
    assert MultiLayerNormalization.from_config(MultiLayerNormalization(3).get_config()).reduction == "element"
    with pytest.raises(ValueError, match="the reduction of a layer normalisation is one of"):
        MultiLayerNormalization(3, reduction="channel")


def _published(answers: dict[str, np.ndarray], side: str, reduction: str) -> list[np.ndarray]:
    """Statistics of the golden file as the list over layers that `branch_distances` takes."""
    if side == "source":
        arrays = [answers[f"source{branch}/{reduction}"] for branch in range(3)]
    else:
        arrays = [answers[f"{side}/branch{branch}/{reduction}"] for branch in range(3)]
    if reduction == "channel":
        cuts = np.cumsum(answers["channel_counts"])[:-1]
        return [np.stack(parts) for parts in zip(*(np.split(array, cuts, axis=1) for array in arrays), strict=True)]
    return [np.stack([array[layer].mean(axis=1) for array in arrays]) for layer in range(len(arrays[0]))]


def test_the_corrective_mean(branched: tuple) -> None:
    _, answers = branched
    for target in ("target_mild_gamma", "target_inverted"):
        found = corrective_mean(pictures(answers, target))
        np.testing.assert_allclose(found, answers[f"{target}/corrective_mean"], rtol=1e-6)
        for reduction in ("element", "token"):
            domain = with_corrective(
                _published(answers, "source", reduction), answers["corrective_mean_source"].mean(1)
            )
            looked = with_corrective(_published(answers, target, reduction), np.repeat(found, 3))
            similarity = branch_distances(domain, looked, "literal")
            expected = answers[f"{target}/{reduction}/similarity_plus_corrective"]
            np.testing.assert_allclose(similarity, expected, rtol=1e-6)
    np.testing.assert_array_equal(corrective_mean(np.full((1, 4, 4), 0.3)), [0.3])


def test_the_network_chooses_as_the_arrays_do(branched: tuple) -> None:
    model, answers = branched
    trained_on_sources(model, answers)
    targets = np.concatenate([pictures(answers, name) for name in ("target_mild_gamma", "target_inverted")])
    repeated, branches = np.repeat(targets, 3, axis=0), np.tile(np.arange(3), 2)
    outputs, *statistics = (np.asarray(part) for part in with_statistics(model)([repeated, branches]))
    for metric in ("cosine", "euclidean_separate", "literal", "euclidean+"):
        plus = metric.endswith("+")
        domain = domain_statistics(model, plus)
        masks, distances = (np.asarray(part) for part in asking_every_branch(model, metric)(targets))
        assert distances.dtype == np.float64
        for number, picture in enumerate(targets):
            own = np.s_[3 * number : 3 * number + 3]
            np.testing.assert_allclose(masks[number], outputs[own][..., -1], atol=1e-5)
            looked = [one[own].astype(np.float64) for one in statistics]
            if plus:
                looked = with_corrective(looked, np.repeat(corrective_mean(picture[None]), 3))
            expected = branch_distances(domain, looked, metric.rstrip("+"))
            np.testing.assert_allclose(distances[number], expected, rtol=1e-3, atol=1e-6)
        assert (distances.argmin(axis=1).tolist() == [0, 2]) == (metric != "literal")


@pytest.fixture(scope="module")
def dual() -> tuple[keras.Model, np.ndarray]:
    """A small U-Net with batch statistics of pictures in branch 0 and of their inversion in branch 1."""
    keras.utils.set_random_seed(3)
    model = SmallUNet(width=2, norm="batch", branches=2, own_statistics=True).build((32, 32, 1))
    with pytest.raises(MammoError, match="branch 0 of the network was never trained"):
        asking_every_branch(model, "dual_normalization")
    for layer in model.layers:
        if isinstance(layer, MultiBatchNormalization):
            layer.momentum = 0.5  # the moving statistics are then those of their pictures after a few steps
    given_pictures = np.random.default_rng(0).beta(2, 6, (4, 32, 32, 1)).astype(np.float32)
    both = np.concatenate([given_pictures, 1 - given_pictures])
    for _ in range(4):
        model([both, np.repeat([0, 1], 4)], training=True)
    return model, both


@pytest.mark.parametrize("metric", ["dual_normalization", "cosine_separate", "cosine+"])
def test_batch_statistics_choose_the_branch_of_each_picture(dual: tuple, metric: str) -> None:
    """The graph against the arrays: moving statistics of a branch, and those of the picture alone."""
    model, both = dual
    targets = both[[1, 6]]
    outputs, *statistics = (
        np.asarray(part) for part in with_statistics(model)([np.repeat(targets, 2, axis=0), np.tile([0, 1], 2)])
    )
    masks, distances = (np.asarray(part) for part in asking_every_branch(model, metric)(targets))
    assert distances.argmin(axis=1).tolist() == [0, 1]
    plus = metric.endswith("+")
    domain = domain_statistics(model, plus)
    assert [one.shape for one in domain[:2]] == ([(2, 5), (2, 5)] if plus else [(2, 2, 2), (2, 2, 2)])
    for number, picture in enumerate(targets):
        own = np.s_[2 * number : 2 * number + 2]
        np.testing.assert_allclose(masks[number], outputs[own][..., -1], atol=1e-5)
        looked = [one[own].astype(np.float64) for one in statistics]
        means = np.repeat(corrective_mean(picture[None]), 2)[:, None]
        looked = [
            np.concatenate([one, means], axis=1) if plus else one.reshape(domain[at].shape)
            for at, one in enumerate(looked)
        ]
        expected = branch_distances(domain, looked, metric.rstrip("+"))
        np.testing.assert_allclose(distances[number], expected, rtol=1e-3, atol=1e-6)


def test_statistics_of_a_picture_are_those_of_each_feature(dual: tuple) -> None:
    model, both = dual
    _, *statistics = with_statistics(model)([both[:1], np.array([1])])
    first = model.get_layer("convd1.bn1")
    seen = np.asarray(keras.Model(model.inputs, model.get_layer("convd1.conv1").output)([both[:1], np.array([1])]))
    expected = input_statistics(seen, "channel")
    np.testing.assert_allclose(np.asarray(statistics[0])[0], expected.ravel(), rtol=1e-4, atol=1e-6)
    found = np.asarray(first.statistics())
    assert found.shape == (2, 2, 2)
    assert len(statistics) == 26


def test_without_a_choice_the_branches_are_added_up() -> None:
    model = SwinUnet(embed_dim=12, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1), window=4, branches=2).build((64, 64, 1))
    picture = np.random.default_rng(1).random((2, 64, 64, 1)).astype(np.float32)
    each = [np.asarray(model([picture, np.full(2, branch)]))[..., -1] for branch in range(2)]
    found = np.asarray(asking_every_branch(model, "none")(picture))[..., 0]
    np.testing.assert_allclose(found, np.minimum(sum(each) / 2, 1), atol=1e-5)
    with pytest.raises(MammoError, match="branch 0 of the network was never trained") as raised:
        asking_every_branch(model, "cosine")
    assert raised.value.code == "branch_untrained"
    with pytest.raises(MammoError, match="no metric of branches"):
        asking_every_branch(model, "nearest")
    assert any(isinstance(layer, PictureMean) for layer in model.layers)


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 99))
def test_a_domain_is_nearest_to_itself(layers: int, branches: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    domain = [generator.normal(size=(branches, 2, 7)) for _ in range(layers)]
    for metric in ("cosine", "euclidean", "cosine_separate", "euclidean_separate"):
        for branch in range(branches):
            target = [np.repeat(layer[branch][None], branches, axis=0) for layer in domain]
            distances = branch_distances(domain, target, metric)
            assert distances[branch] == pytest.approx(0, abs=1e-12)
            assert select_branch(domain, target, metric) == branch
            assert (distances >= -1e-12).all()


def test_refusals() -> None:
    domain = [np.ones((2, 2))]
    for target, metric, code in (
        (domain, "nearest", "metric_unknown"), ([], "cosine", "statistics_differ"),
        ([np.ones((3, 2))], "cosine", "statistics_differ"),
    ):  # fmt: skip
        with pytest.raises(MammoError) as raised:
            branch_distances(domain, target, metric)
        assert raised.value.code == code
    with pytest.raises(MammoError, match="branch 1"):
        branch_distances([np.array([[1.0, 1], [np.nan, 1]])], domain)
    with pytest.raises(MammoError, match="no reduction"):
        input_statistics(np.ones((1, 2, 3)), "pixel")


def test_statistics_of_an_array_by_hand() -> None:
    values = np.array([[[1.0, 3.0], [5.0, 7.0]]])
    np.testing.assert_allclose(input_statistics(values)[:, 0], [4, np.sqrt(5)])
    np.testing.assert_allclose(input_statistics(values, "token")[:, 0], [4, 1])
    np.testing.assert_allclose(input_statistics(values, "channel"), [[3, 5], [4, 4]])
