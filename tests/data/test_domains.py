"""Looks of pictures: tables, inversion, branches of a plan, and what a stream makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data import Augmentation, DomainPlan, DomainSampling, Look, SourceLooks, WholeImages, training_stream
from mammo_tf.data.domains import DUAL_BRANCHES, DUAL_PAIR, PAPER_BRANCHES, mean_pairs, random_pairs
from mammo_tf.data.intensity_changes import Gamma
from mammo_tf.data.plans import Draws
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.bezier import remap, symmetric_points
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.recipes.recipe import Sampling
from mammo_tf.records import Records

PICTURE = np.random.default_rng(0).integers(0, 50_000, (12, 9)).astype(np.uint16)


def test_inversion_is_of_the_pictures_own_maximum(golden: Path) -> None:
    with np.load(golden / "bezier" / "bezier.npz") as answers:
        dim, turned = answers["inv/u8_dim"], answers["inv/u8_dim_max_minus"]
    found = SourceLooks().apply(dim.astype(np.uint16) * 257, curve=0.5, inverted=1.0)
    np.testing.assert_array_equal(found, turned.astype(np.uint16) * 257)


@given(st.sampled_from([0.5, 0.3, 0.7]), st.sampled_from([1.0, 2.0]), st.integers(0, 11), st.integers(0, 8))
def test_a_piece_is_inverted_as_its_picture_is(curve: float, inverted: float, row: int, column: int) -> None:
    whole = SourceLooks().apply(PICTURE, curve=curve, inverted=inverted)
    piece = SourceLooks().apply(PICTURE[row:, column:], int(PICTURE.max()), curve=curve, inverted=inverted)
    np.testing.assert_array_equal(piece, whole[row:, column:])


def test_the_dissimilar_look_of_dual_normalisation_keeps_black(golden: Path) -> None:
    with np.load(golden / "baselines" / "sadn_dissimilar.npz") as answers:
        normalised, expected = answers["normalised"], answers["dissimilar"]
    picture = np.rint((normalised + 1) / 2 * 65535).astype(np.uint16)
    found = SourceLooks().apply(picture, curve=0.5, inverted=2.0) / 65535 * 2 - 1
    np.testing.assert_allclose(found, expected, atol=2 / 65535)


def test_the_branches_of_dual_normalisation_mirror_one_another() -> None:
    """Read backwards, a curve that is point symmetric gives T - f."""
    black = np.where(PICTURE < 9_000, 0, PICTURE)
    for rising, dissimilar in zip(*DUAL_BRANCHES, strict=True):
        drawn = [SourceLooks((look,)).draw(np.random.default_rng(0), 1) for look in (rising, dissimilar)]
        one, other = (
            SourceLooks().apply(black, **{name: float(values[0]) for name, values in columns.items()})
            for columns in drawn
        )
        np.testing.assert_array_equal(other[black > 0], one.max() - one[black > 0])
        np.testing.assert_array_equal(other[black == 0], 0)
    assert tuple((looks[0],) for looks in DUAL_BRANCHES) == DUAL_PAIR


@pytest.mark.parametrize("a", [0.3, 0.7, 0.123])
def test_a_curve_is_the_exact_one_to_a_level(a: float) -> None:
    found = SourceLooks().apply(PICTURE, curve=a, inverted=0.0)
    np.testing.assert_allclose(found / 65535, remap(PICTURE / 65535, symmetric_points(a)), atol=0.51 / 65535)


@given(st.integers(0, 2**32 - 1), st.sampled_from([PAPER_BRANCHES, DUAL_BRANCHES, mean_pairs(3), random_pairs(2)]))
def test_every_branch_draws_its_own_looks(seed: int, branches: tuple[tuple[Look, ...], ...]) -> None:
    for looks in branches:
        drawn = SourceLooks(looks).draw(np.random.default_rng(seed), 40)
        for curve, inverted in zip(drawn["curve"], drawn["inverted"], strict=True):
            fitting = [
                look
                for look in looks
                if look.inverted * (1 + look.keep_black) == inverted
                and any(look.curve[0] - 6e-4 <= a <= look.curve[1] + 6e-4
                        for a in ((curve, 1 - curve) if look.mirrored else (curve,)))
            ]  # fmt: skip
            assert fitting


def _plan(run: int = 1, count: int = 5) -> DomainPlan:
    return DomainPlan(
        WholeImages(np.arange(count), np.arange(count) % 2, (16, 16), shuffle=True), PAPER_BRANCHES, 3, run
    )


@given(st.integers(1, 7), st.integers(0, 9), st.integers(0, 3))
def test_every_draw_comes_once_in_every_branch(run: int, epoch: int, stage: int) -> None:
    plan = _plan(run)
    draws, again = plan.epoch(epoch, stage), plan.epoch(epoch, stage)
    np.testing.assert_array_equal(draws.positions, again.positions)
    np.testing.assert_array_equal(draws.columns["curve"], again.columns["curve"])
    pairs = set(zip(draws.positions.tolist(), draws.columns["branch"].tolist(), strict=True))
    assert pairs == {(position, branch) for position in range(5) for branch in range(3)}
    assert len(draws.positions) == len(plan) == 15
    assert set(draws.columns["curve"][draws.columns["branch"] == 1]) <= {0.3, 0.7}
    np.testing.assert_array_equal(draws.columns["inverted"], draws.columns["branch"] == 2)


def test_runs_of_a_branch_follow_one_another() -> None:
    np.testing.assert_array_equal(_plan(2, 4).epoch(0).columns["branch"], [0, 0, 1, 1, 2, 2] * 2)


def test_a_stream_shows_the_looks(records: Records) -> None:
    positions = records.positions("train")[:2]
    plan = DomainPlan(WholeImages(positions, np.zeros(2, np.int64), records.size), PAPER_BRANCHES)
    batch = next(iter(training_stream(records, plan, 6)))
    plain = next(iter(training_stream(records, WholeImages(positions, np.zeros(2, np.int64), records.size), 2)))
    np.testing.assert_array_equal(batch["branch"], [0, 1, 2] * 2)
    images = batch["image"].numpy()[..., 0]
    np.testing.assert_array_equal(images[[0, 3]], plain["image"].numpy()[..., 0])
    sums = images[0] + images[2]
    np.testing.assert_allclose(sums, sums.flat[0], atol=1e-3, err_msg="f and T - f")


def test_a_change_before_the_inversion_changes_the_maximum_too() -> None:
    """A dark piece of a picture that gamma brightens is inverted as in the whole."""
    augmentation = Augmentation(intensity=(Gamma(1.0), SourceLooks()))
    drawn = {"gamma": 0.6, "curve": 0.5, "inverted": 1.0}
    dark = np.unravel_index(PICTURE.argmin(), PICTURE.shape)
    whole = augmentation.change(PICTURE, drawn)
    piece = augmentation.change(PICTURE[dark].reshape(1, 1), drawn, maximum=int(PICTURE.max()))
    assert piece[0, 0] == whole[dark] > PICTURE.max() // 2


def test_a_speck_that_noise_made_brighter_than_the_picture_does_not_lift_its_tile() -> None:
    tile = np.array([[10_000, 60_000]], np.uint16)
    found = SourceLooks().apply(tile, 50_000, curve=0.5, inverted=1.0)
    np.testing.assert_array_equal(found, [[40_000, 0]])


@dataclass(frozen=True)
class _Halves:
    """The upper and the lower half of one picture, inverted."""

    position: int
    size: tuple[int, int]
    augmentation = Augmentation(intensity=(SourceLooks(),))
    columns = MappingProxyType({"curve": np.float64, "inverted": np.float64})

    def __len__(self) -> int:
        return 2

    def epoch(self, number: int, stage: int = 0) -> Draws:
        matrices = np.stack([np.array([[1.0, 0, 0], [0, 1.0, top]]) for top in (0, self.size[0])])
        return Draws(np.full(2, self.position), matrices, {"curve": np.full(2, 0.5), "inverted": np.ones(2)})


def test_a_stream_inverts_tiles_about_the_maximum_of_their_picture(records: Records) -> None:
    """Both halves of a picture add up, with what they were, to the brightest of either."""
    position = int(records.positions("train")[0])
    rows, columns = records.size
    plan = _Halves(position, (rows // 2, columns))
    batch = next(
        iter(training_stream(records, plan, 2, Preprocessing(records.preprocessing.geometry_steps, (Channels(1),))))
    )
    whole = records.picture(position)
    halves = np.stack([whole[: rows // 2], whole[rows // 2 : rows // 2 * 2]]).astype(np.int64)
    assert halves[0].max() != halves[1].max(), "else this shows nothing"
    np.testing.assert_allclose(batch["image"].numpy()[..., 0] * 65535, whole.max() - halves, atol=0.6)


def test_descriptions_go_to_json_and_back() -> None:
    wanted = DomainSampling(branches=random_pairs(2), run=4)
    assert convert(Sampling, to_json(wanted), "plan") == wanted
    change = Augmentation(intensity=(SourceLooks(),))
    assert convert(Augmentation, to_json(change), "augmentation") == change


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Look((0.7, 0.3)), "runs from 0.7 to 0.3"),
        (lambda: Look((0.0, 1.2)), "not in 0 to 1"),
        (lambda: SourceLooks(()), "no look"),
        (lambda: DomainSampling(branches=()), "has a branch"),
        (lambda: DomainSampling(branches=(PAPER_BRANCHES[0], ())), "every branch has a look"),
        (lambda: DomainSampling(run=0), "plan.run"),
        (lambda: random_pairs(0), "0 pairs"),
    ],
)
def test_refusals(make: object, words: str) -> None:
    with pytest.raises(MammoError, match=words):
        make()  # type: ignore[operator]
