"""Patches of images: where they are cut, what follows from the seed, what an epoch holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data import Augmentation, GaussianNoise, ImagePatchSampling, ScoredPatches, inference_stream
from mammo_tf.data.breast_pixels import BreastPixels
from mammo_tf.data.cutting import cut, touched
from mammo_tf.data.image_patches import ImagePatches, PatchSource, patch_matrix
from mammo_tf.data.patch_sources import PatchGeometry, image_key, patch_sources
from mammo_tf.data.sampling import Cases
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.warp import affine
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.study import read_manifest
from mammo_tf.training.tasks import Classification

NOTHING = np.zeros((0, 2))


def _source(number: int = 0, label: int = 0, centres: object = NOTHING, extent: float = 32.0) -> PatchSource:
    breast = BreastPixels.of(np.ones((100, 80), np.bool_))
    key = image_key({"image_id": f"i{number}"})
    return PatchSource(number, label, key, np.reshape(centres, (-1, 2)), breast, (extent, extent), (0, 100, 0, 80))


@given(st.integers(0, 2**31), st.floats(0.05, 0.95))
def test_every_pixel_of_a_mask_is_there_once(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((9, 7)) < share
    pixels = BreastPixels.of(mask)
    assert len(pixels) == mask.sum()
    found = np.zeros_like(mask)
    for number in range(len(pixels)):
        x, y = pixels.pixel(number)
        assert not found[y, x]
        found[y, x] = True
    np.testing.assert_array_equal(found, mask)


def test_a_patch_is_centred_on_its_finding_and_halved_by_means() -> None:
    matrix = patch_matrix(_source(centres=[[40.0, 50.0]]), (16, 16), np.random.default_rng(0))
    np.testing.assert_allclose(matrix, [[2, 0, 24.5], [0, 2, 34.5]])  # columns 24 to 55, rows 34 to 65
    picture = np.random.default_rng(1).integers(0, 65535, (100, 80)).astype(np.uint16)
    blocks = picture[34:66, 24:56].astype(np.float64).reshape(16, 2, 16, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(affine(picture, matrix, size=(16, 16)), blocks, atol=1)


@given(st.floats(-20, 120), st.floats(-20, 120), st.sampled_from([16.0, 31.0, 80.0]))
def test_a_patch_stays_in_its_image(x: float, y: float, extent: float) -> None:
    matrix = patch_matrix(_source(centres=[[x, y]], extent=extent), (16, 16), np.random.default_rng(0))
    left, top = matrix[:, 2] - np.diag(matrix) / 2 + 0.5
    assert -1e-9 <= left <= 80 - extent + 1e-9 and -1e-9 <= top <= 100 - extent + 1e-9
    assert left == pytest.approx(round(left)) or extent != round(extent)


def test_without_a_finding_every_place_of_the_breast_may_be_the_centre() -> None:
    breast = np.zeros((100, 80), np.bool_)
    breast[40:44, 30:35] = True
    source = _source()._replace(breast=BreastPixels.of(breast))
    places = {tuple(patch_matrix(source, (16, 16), np.random.default_rng(seed))[:, 2].tolist()) for seed in range(400)}
    assert len(places) == 20


def test_a_patch_follows_from_seed_and_image_alone() -> None:
    sources = [_source(number, number % 2) for number in range(12)]
    augmentation = Augmentation(intensity=(GaussianNoise(),))

    def drawn(some: list[PatchSource], **arguments: object) -> dict[int, tuple[float, ...]]:
        plan = ImagePatches(some, (16, 16), augmentation=augmentation, **{"seed": 3, **arguments})
        draws = plan.epoch(5, 1)
        seeds = draws.columns["noise_seed"]
        return {
            int(position): (*matrix.ravel().tolist(), float(seed))
            for position, matrix, seed in zip(draws.positions, draws.matrices, seeds, strict=True)
        }

    everyone = drawn(sources)
    assert drawn(sources[::-1]) == everyone
    assert drawn(sources[2:7]) == {number: everyone[number] for number in range(2, 7)}
    assert all(drawn(sources, seed=4)[number] != everyone[number] for number in range(12))
    moved = [source._replace(position=source.position + 50) for source in sources]
    assert {number - 50: value for number, value in drawn(moved).items()} == everyone


def test_an_epoch_is_counted_in_samples_and_classes_are_equal() -> None:
    sources = [_source(number, int(number >= 9)) for number in range(12)]
    plan = ImagePatches(sources, (16, 16), samples=40, balanced=True)
    draws = plan.epoch(0)
    assert len(plan) == 40 == len(draws.positions)
    assert draws.columns["label"].sum() == 20
    counts = np.bincount(draws.positions, minlength=12)
    assert np.ptp(counts[:9]) <= 1 and np.ptp(counts[9:]) <= 1
    repeated = draws.matrices[draws.positions == 11]
    assert len({tuple(matrix.ravel()) for matrix in repeated}) == len(repeated)  # another place each time
    assert (draws.positions != plan.epoch(1).positions).any()
    plain = ImagePatches(sources, (16, 16), samples=24).epoch(0)
    assert np.bincount(plain.positions).tolist() == [2] * 12


def test_scored_patches_are_told_apart_by_their_number() -> None:
    sources = [_source(number) for number in range(3)]
    draws = ScoredPatches(sources, (16, 16), draws=2).epoch(0)
    assert draws.positions.tolist() == [0, 0, 1, 1, 2, 2]
    assert draws.columns["patch_seed"].tolist() == [0, 1] * 3
    more = ScoredPatches(sources[::-1], (16, 16), draws=3).epoch(7)
    np.testing.assert_array_equal(more.matrices[-3:-1], draws.matrices[:2])
    assert (draws.matrices[0] != draws.matrices[1]).any()


@given(
    st.floats(-60, 60), st.floats(0.3, 3.0), st.floats(-30, 130), st.floats(-30, 110), st.booleans(),
    st.sampled_from(["nearest", 0.0]),
)  # fmt: skip
def test_a_region_is_warped_as_the_picture_is(
    degrees: float, scale: float, x: float, y: float, flipped: bool, fill: str | float
) -> None:
    picture = np.random.default_rng(2).integers(0, 65535, (100, 80)).astype(np.uint16)
    turn = np.deg2rad(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    matrix[:, 2] = x, y
    matrix[:, 0] *= -1 if flipped else 1
    top, bottom, left, right = touched(matrix, (16, 12), picture.shape)
    moved = matrix - [[0, 0, left], [0, 0, top]]
    part = affine(picture[top:bottom, left:right], moved, "linear", fill, (16, 12))
    whole = affine(picture, matrix, "linear", fill, (16, 12))
    # OpenCV rounds places to 1/32 of a pixel, and adding whole numbers may turn a tie
    assert np.abs(part.astype(int) - whole.astype(int)).max() <= 65535 / 32 * 2 + 1


@pytest.fixture(scope="module")
def native(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("native") / "records"
    prepare(read_manifest(films), films.parent, folder, Preprocessing.preset("native", (200, 180)), tile=64)
    return open_records(folder)


def test_sources_know_findings_breast_and_the_image_on_its_canvas(native: Records) -> None:
    manifest = native.rows
    positions = np.arange(len(native))
    labels = (manifest["label"] == "malignant").to_numpy().astype(np.int64)
    sources = patch_sources(native, positions, labels, PatchGeometry(pixels=24))
    for source in sources:
        marks = native.marks(source.position)
        assert source.frame == (0, marks.stored_size[0], 0, marks.stored_size[1])
        assert source.extent == (24, 24)
        assert len(source.centres) == len(marks.finding_masks)
        assert len(source.breast) == (0 if len(source.centres) else marks.breast_mask.sum())
    spaced = native.rows.assign(spacing_row_mm="0.5", spacing_column_mm="0.25")
    assert len(spaced) == len(sources)


def test_a_positive_image_is_cut_on_the_findings_that_are_looked_for(native: Records) -> None:
    position = native.positions("train")[native.rows["findings"].iloc[native.positions("train")] != ""][:1]
    twice = native.marks(int(position[0]))
    row = twice.row | {"findings": json.dumps(2 * json.loads(twice.row["findings"]))}
    row["findings"] = row["findings"].replace('"label": "malignant"', '"label": "benign"', 1)
    masks = np.concatenate([np.roll(twice.finding_masks, 20, axis=1), twice.finding_masks])
    marks = twice._replace(row=row, finding_masks=masks)
    centres = {}
    for label in (0, 1):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Records, "marks", lambda self, number: marks)
            source = patch_sources(native, position, np.array([label]), PatchGeometry(24), Classification().wanted)
        centres[label] = source[0].centres
    assert len(centres[0]) == 2 and len(centres[1]) == 1
    np.testing.assert_array_equal(centres[1][0], centres[0][1])


def test_patches_in_mm_need_a_spacing(native: Records) -> None:
    cases = np.arange(2), np.zeros(2, np.int64)
    rows = [native.marks(position).row for position in range(2)]
    if all(row.get("spacing_row_mm") for row in rows):
        spacing = [float(rows[0][f"spacing_{axis}_mm"]) for axis in ("row", "column")]
        source = patch_sources(native, *cases, PatchGeometry(mm=6.0))[0]
        assert source.extent == pytest.approx((6.0 / spacing[0], 6.0 / spacing[1]))
    else:
        with pytest.raises(MammoError) as caught:
            patch_sources(native, *cases, PatchGeometry(mm=6.0))
        assert caught.value.code == "spacing_missing"


def test_what_cannot_be_cut_is_told_with_the_image(native: Records) -> None:
    normal = np.flatnonzero(native.rows["findings"] == "")[:1]
    name = native.rows["image_id"].iloc[normal[0]]
    for arguments, label, code in (
        ({"pixels": 24}, 1, "finding_missing"),
        ({"pixels": 500}, 0, "patch_too_large"),
        ({"pixels": 24, "breast_level": 0.999999}, 0, "breast_missing"),
    ):
        with pytest.raises(MammoError) as caught:
            patch_sources(native, normal, np.array([label]), PatchGeometry(**arguments))
        assert caught.value.code == code and name in str(caught.value)
    assert patch_sources(native, normal, np.array([1]), PatchGeometry(pixels=24, leave_out=True)) == []


def test_the_stream_shows_what_the_plan_cuts(native: Records) -> None:
    sampling = ImagePatchSampling(rows=16, columns=16, pixels=32, draws=2, leave_out=True)
    positions = native.positions("test")
    plan = sampling.scoring_plan(native, Cases(positions, np.zeros(len(positions), np.int64)))
    draws = plan.epoch(0)
    seen = []
    for batch in inference_stream(native, plan, 4):
        for image, position, seed in zip(batch["image"], batch["position"], batch["patch_seed"], strict=True):
            number = int(np.flatnonzero((draws.positions == position) & (draws.columns["patch_seed"] == seed))[0])
            piece = cut(native, int(position), draws.matrices[number], (16, 16))
            expected = native.preprocessing.intensity(piece / np.float32(65535))
            np.testing.assert_allclose(image, expected, atol=1e-4)
            seen.append(number)
    assert seen == list(range(len(plan)))


def test_a_plan_says_one_size() -> None:
    for wrong in (
        {"pixels": None}, {"mm": 5.0}, {"rows": 0}, {"draws": 0}, {"samples": 0}, {"breast_level": 1.0}, {"pixels": -1},
    ):  # fmt: skip
        with pytest.raises(MammoError) as caught:
            replace(ImagePatchSampling(), **wrong)
        assert caught.value.code == "recipe_wrong"


def test_noise_follows_its_seed_and_has_its_deviation() -> None:
    picture = np.full((200, 200), 30000, np.uint16)
    noise = GaussianNoise(1 / 4095)
    first, again, other = (noise.apply(picture, noise_seed=seed) for seed in (5.0, 5.0, 6.0))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first.astype(float) - 30000).std() == pytest.approx(65535 / 4095, rel=0.02)
    assert GaussianNoise(0.5).apply(np.array([[0, 65535]], np.uint16), noise_seed=1.0).dtype == np.uint16


def test_shifts_are_gaussian_in_pixels_of_the_network() -> None:
    still = Augmentation(0.0, 0.0, 0.0, horizontal_flip=False, shift_pixels=20.0)
    generator = np.random.default_rng(0)
    places = np.array([still.matrix(generator, (64, 48))[:, 2] for _ in range(4000)])
    assert places.std(axis=0) == pytest.approx([20, 20], rel=0.05)
    assert np.abs(places.mean(axis=0)).max() < 1.5
