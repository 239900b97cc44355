"""Harmonising fitted on records: training pictures alone, whatever their labels, by machine, by patient, in mm."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.adaptation.harmonising import fit, fit_by_machine
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.site_pictures import by_machine, training_part
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import Machine
from mammo_tf.recipes.matching import matched
from mammo_tf.recipes.recipe import Preparation, Recipe
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.domain_statistics import prepared_spacings
from mammo_tf.study import make_manifest

STORED, SIZE = (192, 160), (96, 80)
OLD, NEW, RARE = Machine("Maker", "Old", "1.0"), Machine("Maker", "New", "2.0"), Machine("Other")


@contextmanager
def refused(code: str, words: str = ""):
    with pytest.raises(MammoError) as caught:
        yield
    assert caught.value.code == code and words in str(caught.value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """15 patients, a picture each: 6 of an old machine, 6 of a new one, 2 of a third for training, 1 for a test."""
    folder = tmp_path_factory.mktemp("site")
    rows, columns = np.mgrid[: STORED[0], : STORED[1]]
    breast = np.hypot((rows - 96) / 90, columns / 140) < 1
    listed = []
    for patient in range(15):
        noise = np.random.default_rng(patient).normal(size=STORED)
        picture = np.clip(0.4 + 0.02 * patient + 0.3 * cv2.GaussianBlur(noise, None, 2), 0.1, 1) * breast
        cv2.imwrite(str(folder / f"{patient}.png"), np.rint(picture * 65535).astype(np.uint16))
        machine = (OLD, NEW, RARE)[min(patient // 6, 2)]
        listed.append({
            "image_id": f"i{patient}", "patient_id": f"p{patient}", "laterality": "L", "view": "CC", "path":
            f"{patient}.png", "manufacturer": machine.manufacturer, "model_name": machine.model_name, "software":
            machine.software, "label": ("", "normal", "malignant")[patient % 3], "spacing_row_mm": 0.3,
            "spacing_column_mm": 0.3, "split": "test" if patient == 14 else "train",
        })  # fmt: skip
    preprocessing = Preprocessing.preset("default", SIZE, channels=1)
    prepare(make_manifest(listed), folder, folder / "records", preprocessing)
    return open_records(folder / "records")


def labelled_anew(records: Records, **columns: object) -> Records:
    return replace(records, rows=records.rows.assign(**columns))


def test_training_pictures_count_whatever_their_labels_are(site: Records) -> None:
    found = fit(site, site)
    assert found.source.histogram.cdf == found.target.histogram.cdf
    np.testing.assert_allclose(found.robust_ratios, 1, rtol=0.01)
    assert (found.source.patients, found.source.bands.images, found.source.size) == (14, 14, SIZE)
    assert found.source.machines == (NEW, OLD, RARE) and found.source.histogram.labels == {}
    assert fit(labelled_anew(site, label="malignant"), labelled_anew(site, label="")) == found
    assert found.patients_in_both == 0  # of records that are the same
    few = fit(site, site, patients=6, seed=1)
    assert few.source.patients == 6 and few == fit(site, site, patients=6, seed=1) != fit(site, site, patients=6)


def test_a_machine_has_a_table_of_its_own(site: Records) -> None:
    said: list[str] = []
    found = fit_by_machine(site, site, say=said.append)
    assert list(found) == [NEW, OLD]
    assert said == ["Other: left out, 2 of 5 patients at least (25 are recommended)"]
    parts = by_machine(training_part(site))
    assert found[OLD] == fit(site, parts[OLD]) and found[OLD].target.machines == (OLD,)
    assert found[OLD].source == found[NEW].source and found[OLD].target != found[NEW].target
    assert "6 identifiers" in "".join(note.sentence for note in notes(found[OLD]))
    with refused("too_few_patients", "2 of Other"):
        fit_by_machine(site, parts[RARE])


def test_scales_are_in_mm_of_the_prepared_pixels(site: Records) -> None:
    spacings = prepared_spacings(site)
    assert spacings is not None
    # the breast's box of 181 rows and 140 columns and a margin of 2 %, into 96x80
    np.testing.assert_allclose(spacings, 0.3 * 185 / 96, rtol=0.05)
    found = fit(site, site)
    assert found.in_mm and found.target.bands.spacing_mm == pytest.approx(np.median(spacings[:14]))
    np.testing.assert_allclose(found.target.bands.scales_mm, (0.48, 0.96, 1.92, 3.84, 7.68))
    unknown = labelled_anew(site, spacing_row_mm=float("nan"), spacing_column_mm=float("nan"))
    assert prepared_spacings(unknown) is None and not fit(site, unknown).in_mm
    wide = site.rows["spacing_row_mm"].mask(site.rows.index == 3, 1.2)
    uneven = fit(site, labelled_anew(site, spacing_row_mm=wide, spacing_column_mm=wide))
    assert "harmonising_spacing" in [note.code for note in notes(uneven)]


def test_a_part_of_records_is_its_own(site: Records) -> None:
    part = site.part([7, 2])
    assert part.rows["image_id"].tolist() == ["i7", "i2"] and len(part) == 2
    np.testing.assert_array_equal(part.picture(0), site.picture(7))
    np.testing.assert_array_equal(part.breast(1), site.breast(2))
    assert part.digest != site.digest == site.part(range(15)).digest


def test_pictures_that_keep_their_pixels_may_stand_on_canvases_of_any_size(site: Records, tmp_path: Path) -> None:
    files = site.folder.parent
    found = []
    for canvas in (STORED, (STORED[0] + 40, STORED[1] + 8)):
        native = Preprocessing.preset("native", canvas, channels=1)
        prepare(site.rows, files, tmp_path / f"{canvas[0]}", native)
        found.append(open_records(tmp_path / f"{canvas[0]}"))
    small, large = found
    harmonising = fit(small, large)
    np.testing.assert_allclose(harmonising.robust_ratios, 1, rtol=1e-3)
    assert harmonising.curve_shift < 1e-3 and harmonising.target.size is None
    harmonising.save(tmp_path / "look.json")
    preparation = Preparation(preset="native", harmonising=str(tmp_path / "look.json"), channels=1)
    for records in found:
        steps = matched(Recipe(name="a", about="", preparation=preparation), records, records.preprocessing)
        assert steps.intensity_steps[: len(harmonising.steps)] == harmonising.steps
    with refused("preprocessing_differs", "those of"):
        fit(site, small)


def test_what_cannot_be_is_refused_in_a_line(site: Records) -> None:
    with refused("too_few_patients", "has 4 training patients. Take 25 consecutive patients, 5 at least"):
        fit(site, site.part(range(4)))
    with refused("split_empty", "no training picture"):
        fit(site, site.part([14]))
    with refused("modalities_mixed", "DBT, FFDM"):
        fit(site, labelled_anew(site, modality=["FFDM", "DBT", *["FFDM"] * 13]))
    with refused("preprocessing_differs", "of the size 96x80, those of"):
        fit(site, replace(site, size=SIZE[::-1]))
    with refused("preprocessing_differs", "those of"):
        fit_by_machine(site, replace(site, preprocessing=Preprocessing.preset("native", SIZE)))


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (None, "breast_missing"),
        (np.zeros(SIZE, bool), "breast_wrong"),
        (np.arange(SIZE[1]) < np.full(SIZE[0], 5)[:, None], "mask_empty"),
    ],
)
def test_a_mask_that_serves_nothing_is_refused_with_its_image(
    mask: np.ndarray | None, code: str, site: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_tf.records.index.decode_breast", lambda payload: mask)
    with refused(code, "the image i0 of"):
        fit(site, site)
