"""Background patches show background: nothing of a finding beyond what is allowed, nothing of where one may be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data import Patches, patch_sheets
from mammo_tf.data.augmentation import NO_AUGMENTATION
from mammo_tf.data.patches import Lesion, Sheet
from mammo_tf.data.sampling import Cases, ImagePatchSampling, PatchSampling
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.study import Finding, findings_to_json, make_manifest

SIZE = (96, 80)
CLASSES = {"malignant": 1}


def _shared(corner: np.ndarray, patch: int, box: tuple[float, ...]) -> int:
    """Pixels of a patch that lie in a box, counted one by one."""
    seen = np.zeros(SIZE, bool)
    x, y = corner.astype(int)
    seen[y : y + patch, x : x + patch] = True
    x0, y0, x1, y1 = map(int, box)
    return int(seen[y0:y1, x0:x1].sum())


@given(
    seed=st.integers(0, 30),
    patch=st.sampled_from([16, 32, 48]),
    limit=st.sampled_from([0.0, 0.1, 0.35, 1.0]),
    known=st.booleans(),
)
def test_background_shares_no_more_with_a_finding_than_it_may(seed: int, patch: int, limit: float, known: bool) -> None:
    generator = np.random.default_rng(seed)
    (x0, y0), extent = generator.integers(0, 40, 2), generator.integers(2, 40, 2)
    box = (float(x0), float(y0), float(x0 + extent[0]), float(y0 + extent[1]))
    points = np.column_stack([generator.integers(0, 80, 80), generator.integers(0, 96, 80)]).astype(float)
    sheet = Sheet(0, (Lesion(box, 1),) if known else (), points, () if known else (box,))
    plan = Patches([sheet], (patch, patch), SIZE, augmentation=NO_AUGMENTATION, seed=seed, background_overlap=limit)
    draws = plan.epoch(0)
    corners = draws.matrices[:, :, 2][draws.columns["label"] == 0]
    smaller = min(patch * patch, extent.prod())
    assert all(_shared(corner, patch, box) <= limit * smaller + 1e-9 for corner in corners)
    assert len(draws.positions) == len(plan)
    assert plan.has_background == bool(len(corners))
    assert limit < 1 or len(corners)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Pictures that differ in what is known of their findings; every other split holds the same."""
    folder = tmp_path_factory.mktemp("listed")
    rng = np.random.default_rng(0)
    placed = Finding("mass", "malignant", box=(20, 20, 30, 32))
    cases: list[tuple[str, tuple[Finding, ...]]] = [
        ("normal", ()),
        ("malignant", (placed,)),
        ("malignant", ()),
        ("malignant", (placed, Finding("calcification", "malignant"))),
        ("benign", (Finding("mass", "benign", box=(40, 40, 50, 52)),)),
        ("", ()),
    ]
    rows = []
    for split in ("train", "validation"):
        for number, (label, findings) in enumerate(cases):
            name = f"{split}{number}"
            cv2.imwrite(str(folder / f"{name}.png"), rng.integers(20000, 60000, SIZE, dtype=np.uint16))
            rows.append(
                {"image_id": name, "patient_id": name, "label": label, "path": f"{name}.png", "split": split}
                | {"findings": findings_to_json(findings)}
            )
    prepare(make_manifest(rows), folder, folder / "records", Preprocessing.preset("legacy", SIZE))
    return open_records(folder / "records")


def test_no_background_comes_from_where_a_finding_may_be(listed: Records) -> None:
    sheets = patch_sheets(listed, listed.positions("train"), CLASSES)
    assert [bool(len(sheet.breast_points)) for sheet in sheets] == [True, True, False, False, True, False]
    assert [len(sheet.lesions) for sheet in sheets] == [0, 1, 0, 1, 0, 0]
    assert sheets[4].others == ((40.0, 40.0, 50.0, 52.0),), "of no class, and no background either"
    plan = Patches(sheets, (16, 16), SIZE, augmentation=NO_AUGMENTATION)
    draws = plan.epoch(0)
    assert set(draws.positions[draws.columns["label"] == 0]) == {0, 1, 4}


def test_pictures_without_room_for_background_are_told(listed: Records) -> None:
    positions = {split: listed.positions(split)[1:2] for split in ("train", "validation")}
    cases = {split: Cases(place, np.ones(1, np.int64)) for split, place in positions.items()}
    sampling = PatchSampling(CLASSES, 72, 72)
    with pytest.raises(MammoError, match="no picture of split train has room for background of 72x72 pixels"):
        sampling.plans(listed, cases, NO_AUGMENTATION, False, 0)
    for wrong, words in (
        ({"rows": 0}, "patches have 1 pixel or more each way, up to 65536, not 0x224"),
        ({"lesion_patches": 10**12}, "0 or more, up to 10000"),
        ({"background_patches": -1}, "0 or more, up to 10000"),
        ({"jitter": -1.0}, "jitter of patches is 0 or more, up to 1000, not -1"),
        ({"classes": {"malignant": 10**12}}, "numbered up to 10000"),
    ):
        with pytest.raises(MammoError, match=words):
            PatchSampling(**wrong)
    for count in ({"samples": 10**12}, {"draws": 10**12}):
        with pytest.raises(MammoError, match="an epoch has at most 10000000 samples"):
            ImagePatchSampling(**count)
    with pytest.raises(MammoError, match="background_overlap of patches lies between 0 and 1, not at 2"):
        PatchSampling(background_overlap=2)
