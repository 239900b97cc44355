"""The breast mask in batches: warped and cut as its picture, and handed to the intensity half."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data import (
    Augmentation,
    BandGains,
    Deformation,
    Gamma,
    ImagePatchSampling,
    TileSampling,
    WholeImages,
    inference_stream,
    stream_errors,
    training_stream,
)
from mammo_tf.data.cutting import cut, cut_breast
from mammo_tf.data.sampling import TRAIN, VALIDATION, Cases
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.bands import apply_gains
from mammo_tf.imaging.geometry_steps import FindBreast, Place
from mammo_tf.imaging.intensity_steps import Channels, HistogramLookup, Scale, SubtractMean
from mammo_tf.imaging.periphery import add_levels
from mammo_tf.imaging.periphery_steps import Periphery
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.imaging.warp import affine
from mammo_tf.recipes import report
from mammo_tf.recipes.inputs import training_mean
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.behind import behind
from mammo_tf.study import assign_splits, make_manifest, read_manifest, write_manifest
from mammo_tf.training import ModelCard

SIZE = (80, 64)
PLAIN = Preprocessing((FindBreast(), Place(*SIZE)), (Scale(255), SubtractMean(10.0), Channels(1)))
BANDS = replace(PLAIN, intensity_steps=(ContrastBands((0.8,), (1.5,)), *PLAIN.intensity_steps))
CURVE = HistogramLookup(tuple((4095 * np.linspace(0, 1, 4096) ** 0.8).tolist()))
WIDE, ALONG = ((1.0, 9.0), (1.6, 0.5)), ((8.0,), ((0.1, 0.08, 0.06, 0.04, 0.02, 0.0, 0.0),))
LOOK = replace(PLAIN, intensity_steps=(CURVE, ContrastBands(*WIDE), Periphery(*ALONG), *PLAIN.intensity_steps))
PIECES = (
    pytest.param(TileSampling(Tiling(32, 24), samples=12), id="tiles"),
    pytest.param(ImagePatchSampling(24, 20, pixels=32, draws=2), id="patches"),
)
TURNED = Augmentation(40, zoom=0.2, vertical_flip=True)
WARPS = {
    "turned": TURNED,
    "deformed": replace(TURNED, deformation=Deformation(scale=(0.8, 1.2), strength=(50, 200), probability=1.0)),
    "edge": Augmentation(shift=0.3, fill="nearest", intensity=(Gamma(),)),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of pictures whose breast is known: every pixel of it is brighter than every other."""
    folder = tmp_path_factory.mktemp("marked")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    listed = []
    for number in range(6):
        inside = ((rows - 30 - 3 * number) / 24) ** 2 + (columns / (30 + 3 * number)) ** 2 < 1
        texture = np.random.default_rng(number).uniform(0.5, 0.7, SIZE)
        cv2.imwrite(str(folder / f"p{number}.png"), np.rint(np.where(inside, texture, 0.0) * 65535).astype(np.uint16))
        named = {"image_id": f"p{number}", "patient_id": f"p{number}", "laterality": "L", "view": "CC"}
        told = {"label": "normal"}
        if number % 2:
            told = {
                "label": "malignant",
                "findings": '[{"kind": "mass", "label": "malignant", "box": [6, 24, 16, 36]}]',
            }
        listed.append({**named, **told, "modality": "FILM", "path": f"p{number}.png"})
    write_manifest(assign_splits(make_manifest(listed), (100, 0, 0), ()), folder / "manifest.csv")
    return folder / "manifest.csv"


def _prepared(manifest: Path, name: str, tile: int | None) -> Records:
    prepare(read_manifest(manifest), manifest.parent, manifest.parent / name, PLAIN, workers=1, tile=tile)
    return open_records(manifest.parent / name)


@pytest.fixture(scope="module")
def marked(pictures: Path) -> Records:
    return _prepared(pictures, "tiles", 32)


def _plan(records: Records, **arguments: object) -> WholeImages:
    return WholeImages(np.arange(len(records)), np.zeros(len(records), np.int64), records.size, **arguments)


@pytest.mark.parametrize(
    "warp", ["turned", *(pytest.param(name, marks=pytest.mark.long) for name in ("deformed", "edge"))]
)
def test_the_breast_is_warped_as_its_picture(marked: Records, warp: str) -> None:
    """Bright is breast, in the warped picture too, but along the outline; and where no breast is, nothing is left."""
    plan = _plan(marked, augmentation=WARPS[warp], shuffle=True, seed=3)
    batch, drawn = next(iter(training_stream(marked, plan, 6, BANDS))), plan.epoch(0)
    assert batch["breast"].dtype == tf.bool
    for number, (position, matrix) in enumerate(zip(drawn.positions, drawn.matrices, strict=True)):
        columns = {name: values[number] for name, values in drawn.columns.items()}
        picture = cut(marked, int(position), matrix, SIZE, fill=plan.augmentation.fill)
        bright = plan.augmentation.change(picture, columns) > 0.3 * 65535
        breast, given = batch["breast"][number].numpy(), batch["image"][number].numpy()[..., 0] + 10
        disc = np.ones((7, 7), np.uint8)
        core, reach = (change(breast.astype(np.uint8), disc) > 0 for change in (cv2.erode, cv2.dilate))
        assert 0.03 < core.mean() < reach.mean() < 0.95
        assert bright[core].all()
        if warp != "edge":  # the edge's pixel is repeated beyond the picture, where no breast is
            assert not bright[~reach].any()
        assert not np.abs(given[~breast]).max() > 1e-4
        assert given[core].min() > 0.3 * 255


def test_the_stream_equals_the_numpy_twin(pictures: Path) -> None:
    whole = _prepared(pictures, "whole", None)
    seen = 0
    for batch in inference_stream(whole, _plan(whole), 4, BANDS, padded=True):
        for number, position in enumerate(batch["position"].numpy()):
            if position < 0:
                assert not batch["breast"][number].numpy().any()
                continue
            breast = whole.marks(int(position)).breast_mask
            np.testing.assert_array_equal(batch["breast"][number], breast)
            expected = BANDS.intensity(whole.picture(int(position)) / np.float32(65535), breast)
            np.testing.assert_allclose(batch["image"][number], expected, rtol=0, atol=255e-6)
            seen += 1
    assert seen == len(whole)


def _cases(records: Records) -> dict[str, Cases]:
    """All pictures for training, by two classes, and for validation too."""
    one = Cases(np.arange(len(records)), np.arange(len(records), dtype=np.int64) % 2)
    return {TRAIN: one, VALIDATION: one}


def _looked_at(records: Records, position: int) -> NDArray[np.uint16]:
    """A whole picture behind `LOOK`, step by step."""
    breast = records.breast(position)
    carried = CURVE.intensity(records.picture(position) / np.float32(65535))
    carried = add_levels(apply_gains(carried, breast, *WIDE), breast, *ALONG)
    return np.rint(carried * 65535).astype(np.uint16)


@pytest.mark.parametrize("sampling", PIECES)
def test_pieces_are_cut_of_the_harmonised_picture(marked: Records, sampling: Any) -> None:
    """Not harmonised by themselves, which gives other pictures; the network's own steps run on the piece."""
    plan = sampling.scoring_plan(marked, _cases(marked)[TRAIN])
    draws, batch = plan.epoch(0), next(iter(inference_stream(marked, plan, len(plan), LOOK)))
    assert "breast" not in batch, "no step that is left asks for it"
    alone = []
    for given, position, matrix in zip(batch["image"].numpy(), draws.positions, draws.matrices, strict=True):
        piece = affine(_looked_at(marked, int(position)), matrix, fill=0.0, size=plan.size)
        np.testing.assert_allclose(given, PLAIN.intensity(piece / np.float32(65535)), rtol=0, atol=0.01)
        levels, breast = (find(marked, int(position), matrix, plan.size) for find in (cut, cut_breast))
        if breast.any():
            alone.append(np.abs(LOOK.intensity(levels / np.float32(65535), breast) - given).max())
    assert np.median(alone) > 5, "of 255: a piece by itself is something else"


@pytest.mark.parametrize("sampling", PIECES)
def test_training_changes_pieces_of_the_harmonised_picture(marked: Records, sampling: Any) -> None:
    """What is drawn follows from the plan alone, in any size of batch, and is done to what was cut."""
    changes = replace(TURNED, intensity=(Gamma(), BandGains(1.0, (0.8, 1.6))))
    plan, _ = sampling.plans(marked, _cases(marked), changes, False, 3)
    images = {}
    for size in (len(plan), 2):
        stream = training_stream(marked, plan, size, LOOK).take(-(-len(plan) // size))
        images[size] = np.concatenate([batch["image"] for batch in stream])[: len(plan)]
    np.testing.assert_array_equal(images[2], images[len(plan)])
    drawn = plan.epoch(0)
    shown = behind(marked, LOOK.whole_steps)
    for number, (position, matrix) in enumerate(zip(drawn.positions.tolist(), drawn.matrices, strict=True)):
        columns = {name: drawn.columns[name][number] for name in changes.columns}
        piece = cut(shown, position, matrix, plan.size, fill=changes.fill)
        changed = changes.change(piece, columns, cut_breast(marked, position, matrix, plan.size))
        np.testing.assert_array_equal(images[2][number], PLAIN.intensity(changed / np.float32(65535)))


def test_whole_pictures_are_harmonised_behind_their_warp(marked: Records) -> None:
    """As they were: the steps are the network's, and the breast goes along."""
    plan = _plan(marked, augmentation=TURNED, seed=3)
    batch, drawn = next(iter(training_stream(marked, plan, 6, LOOK))), plan.epoch(0)
    for number, (position, matrix) in enumerate(zip(drawn.positions.tolist(), drawn.matrices, strict=True)):
        picture, breast = (find(marked, position, matrix, SIZE) for find in (cut, cut_breast))
        expected = LOOK.intensity(picture / np.float32(65535), breast)
        np.testing.assert_allclose(batch["image"][number], expected, rtol=0, atol=0.01)


def test_a_run_takes_the_mean_and_looks_for_evidence_behind_the_step(marked: Records) -> None:
    steps = replace(BANDS, intensity_steps=(BANDS.intensity_steps[0], Scale(255), Channels(1)))
    seen = [
        steps.intensity(marked.picture(position) / np.float32(65535), marked.breast(position))
        for position in range(len(marked))
    ]
    assert training_mean(marked, BANDS) == pytest.approx(np.mean(seen), abs=0.01)
    task = SimpleNamespace(evidence=lambda model, inputs: inputs)
    card: Any = SimpleNamespace(preprocessing=steps, task=task)
    pieces = [report.Piece(position, np.eye(2, 3), SIZE) for position in range(len(marked))]
    given = report._evidence(None, card, marked, pieces, [marked.picture(piece.position) for piece in pieces])
    np.testing.assert_allclose(given, seen, rtol=0, atol=255e-6)


def test_evidence_is_looked_for_in_patches_of_the_harmonised_picture(
    marked: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report shows patches as prepared; the network is asked about what it saw when it was measured."""
    asked: list[Any] = []
    monkeypatch.setattr(report, "_evidence", lambda _, card, *others: asked.extend([card.preprocessing, *others]))
    sampling = ImagePatchSampling(24, 20, pixels=32)
    table = marked.rows.assign(label=np.arange(len(marked)) % 2, score=np.linspace(0, 1, len(marked)))
    card = ModelCard(preprocessing=LOOK)
    report.write_examples(None, marked, card, table, tmp_path, sampling)  # type: ignore[arg-type]
    steps, _, pieces, seen = asked
    assert steps == PLAIN and len(pieces) == len(seen) == len(marked)
    for (position, matrix, size), picture in zip(pieces, seen, strict=True):
        wanted = affine(_looked_at(marked, position), matrix, fill=0.0, size=size)
        np.testing.assert_allclose(picture / 65535, wanted / 65535, rtol=0, atol=1e-4)
        shown = cv2.imread(str(tmp_path / f"example_{position:05d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(shown, cut(marked, position, matrix, size))


def test_records_without_a_breast_are_told(marked: Records, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    for refused in (lambda: inference_stream(records, _plan(records), 4, BANDS), lambda: training_mean(records, BANDS)):
        with pytest.raises(MammoError) as caught:
            refused()
        assert caught.value.code == "breast_missing"
        assert str(records.folder) in caught.value.sentence
    with pytest.raises(MammoError) as caught:
        records.breast(0)
    assert caught.value.code == "breast_missing"
    monkeypatch.setattr("mammo_tf.records.index.decode_breast", lambda payload: np.zeros(SIZE, np.bool_))
    with pytest.raises(MammoError, match="the breast mask of the image p0 of .* is empty"), stream_errors():
        list(inference_stream(marked, _plan(marked), 4, BANDS))


def test_nothing_is_read_where_it_is_not_needed(marked: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Records, "breast", lambda *_: pytest.fail("the breast is read"))
    stream = inference_stream(marked, _plan(marked), 2)
    assert set(stream.element_spec) == {"image", "label", "position", "weight"}
    assert len(list(stream)) == 3


def test_random_gains_of_bands_are_drawn_inside_the_breast(marked: Records) -> None:
    gains = BandGains(1.0, (0.8, 1.6))
    plan = _plan(marked, augmentation=replace(TURNED, intensity=(gains,)), shuffle=True, seed=3)
    batch, drawn = next(iter(training_stream(marked, plan, 6, PLAIN))), plan.epoch(0)
    assert "breast" not in batch, "the network is not shown it"
    for number, (position, matrix) in enumerate(zip(drawn.positions.tolist(), drawn.matrices, strict=True)):
        picture, breast = cut(marked, position, matrix, SIZE), cut_breast(marked, position, matrix, SIZE)
        changed = gains.apply(picture, breast, band_gains_seed=drawn.columns["band_gains_seed"][number])
        np.testing.assert_array_equal(batch["image"][number], PLAIN.intensity(changed / np.float32(65535)))
        assert (changed != picture)[breast].mean() > 0.5
