"""Raw pictures: refused, and on request turned into pictures by a formula that travels with the manifest's row."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mammo_tf import reading
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.reading.for_processing import RAW, densities
from mammo_tf.records import open_records
from mammo_tf.serving.predict_inputs import find_inputs
from mammo_tf.study import read_manifest

Write = Callable[..., Any]
CLASS = "1.2.840.10008.5.1.4.1.1.1.2.1"
AIR = 15000


def exposure(seed: int = 0) -> np.ndarray:
    """What a detector sees: 15000 beside a half ellipse that lets 2 to 30 % through, uint16 `[128, 100]`."""
    y, x = np.mgrid[:128, :100]
    inside = ((y - 64) / 54) ** 2 + (x / 70) ** 2 < 1
    through = np.random.default_rng(seed).uniform(0.02, 0.3, inside.shape)
    return np.where(inside, AIR * through, AIR).astype(np.uint16)


def by_hand(values: np.ndarray) -> np.ndarray:
    """The formula of the page, in plain NumPy."""
    logarithm = np.log(np.maximum(values.astype(np.float64), 1))
    y = np.maximum(0, np.percentile(logarithm, 99, method="inverted_cdf") - logarithm)
    return np.minimum(1, y / np.percentile(y, 99.9, method="inverted_cdf"))


def test_raw_data_are_refused_unless_asked_for(write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", exposure(), 14, CLASS)
    for look in (reading.inspect_file, reading.read):
        with pytest.raises(MammoError, match="--for-processing") as caught:
            look(tmp_path / "a.dcm")
        assert caught.value.code == "for_processing"
    facts = reading.inspect_file(tmp_path / "a.dcm", for_processing=True)
    assert facts.for_processing
    assert RAW in facts.warnings


def test_the_picture_is_that_of_the_formula(write_dicom: Write, tmp_path: Path) -> None:
    raw = exposure()
    write_dicom(tmp_path / "a.dcm", raw, 14, PresentationIntentType="FOR PROCESSING")
    picture = reading.read(tmp_path / "a.dcm", for_processing=True)
    np.testing.assert_allclose(picture.pixels, by_hand(raw), atol=1e-6)
    assert picture.pixels.dtype == np.float32
    assert picture.facts.voi == "none"
    assert (picture.pixels[raw == AIR] == 0).all()
    darkest = raw < np.percentile(raw, 5)
    assert picture.pixels[darkest].min() > picture.pixels[~darkest].max() - 1e-6, "dark in the raw data is dense"


def test_padding_is_nothing_and_does_not_count(write_dicom: Write, tmp_path: Path) -> None:
    raw = exposure()
    padded = raw.copy()
    padded[:, 80:] = 0
    write_dicom(tmp_path / "a.dcm", padded, 14, CLASS, PixelPaddingValue=0)
    pixels = reading.read(tmp_path / "a.dcm", for_processing=True).pixels
    np.testing.assert_allclose(pixels[:, :80], by_hand(raw[:, :80]), atol=1e-6)
    assert not pixels[:, 80:].any()


@pytest.mark.parametrize("sign", [1, -1])
def test_logarithms_are_not_taken_twice(sign: int, write_dicom: Write, tmp_path: Path) -> None:
    raw = exposure()
    logarithm = np.round(1000 * np.log(np.maximum(raw, 1)))
    stored = (logarithm if sign > 0 else 12000 - logarithm).astype(np.uint16)
    write_dicom(
        tmp_path / "a.dcm", stored, 14, CLASS, PixelIntensityRelationship="LOG", PixelIntensityRelationshipSign=sign
    )
    np.testing.assert_allclose(reading.read(tmp_path / "a.dcm", for_processing=True).pixels, by_hand(raw), atol=2e-3)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"PixelIntensityRelationship": "DISP"}, "DISP, sign 1"),
        ({"PixelIntensityRelationship": "Jane Doe"}, "that is not known"),
        ({"PixelIntensityRelationshipSign": -1}, "not told, sign -1"),
        ({"pixels": np.stack([exposure()] * 2)}, "not one digital mammogram"),
    ],
)
def test_what_the_plain_way_cannot_read_is_refused(
    elements: dict[str, Any], words: str, write_dicom: Write, tmp_path: Path
) -> None:
    pixels = elements.pop("pixels", exposure())
    write_dicom(tmp_path / "a.dcm", pixels, 14, CLASS, **elements)
    with pytest.raises(MammoError, match=words) as caught:
        reading.inspect_file(tmp_path / "a.dcm", for_processing=True)
    assert caught.value.code == "for_processing"
    assert "Doe" not in str(caught.value)


VALUES = hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(0, 65535).map(float), unique=True)


@given(VALUES, st.data())
def test_darker_is_never_less_dense(values: np.ndarray, data: st.DataObject) -> None:
    counts = np.array(data.draw(st.lists(st.integers(0, 5), min_size=len(values), max_size=len(values))), float)
    found = densities(values, counts)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(values)]) <= 0).all()
    weighed = np.repeat(found, counts.astype(int))
    assert not len(weighed) or weighed.max() in (0, 1)
    shuffled = np.random.default_rng(0).permutation(len(values))
    np.testing.assert_array_equal(densities(values[shuffled], counts[shuffled]), found[shuffled])


def rejects_in(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["code"] for row in csv.DictReader(stream)}


def test_a_raw_picture_from_the_archive_to_records_and_predict(
    write_dicom: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "archive", tmp_path / "out"
    root.mkdir()
    write_dicom(root / "raw.dcm", exposure(), 14, CLASS)
    write_dicom(root / "shown.dcm", ViewPosition="MLO")
    words = ["manifest", "folder", str(root), "-o", str(out)]
    assert main(words) == 0
    assert rejects_in(out / "rejects.csv") == {"raw.dcm": "for_processing"}
    assert main([*words, "--for-processing"]) == 0
    assert "1 raw picture is turned into one to be shown" in capsys.readouterr().out
    rows = read_manifest(out / "manifest.csv").set_index("path")
    assert rows["presentation_intent"].to_dict() == {"raw.dcm": "for_processing", "shown.dcm": ""}
    assert RAW in rows.loc["raw.dcm", "warnings"]
    prepare = ["prepare", str(out / "manifest.csv"), "--root", str(root), "-o", str(tmp_path / "p"), "--size", "64x64"]
    assert main(prepare) == 0
    records = open_records(tmp_path / "p")
    assert sorted(records.rows["path"]) == ["raw.dcm", "shown.dcm"]
    assert RAW in str(records.rows.set_index("path").loc["raw.dcm", "warnings"])
    found = {one.place: one for one in find_inputs(out / "manifest.csv", root).candidates}
    told = reading.read_told(found["raw.dcm"].file, found["raw.dcm"].told)
    np.testing.assert_allclose(told.pixels, by_hand(exposure()), atol=1e-6)
    assert [reject.code for reject in find_inputs(root).rejects] == ["for_processing"]


def test_a_table_may_ask_for_one_raw_picture(write_dicom: Write, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(tmp_path / f"{name}.dcm", exposure(ord(name)), 14, CLASS)
    (tmp_path / "labels.csv").write_text("path,presentation_intent\na.dcm,for_processing\n")
    table, rejects = reading.collections.collect("folder", tmp_path)
    assert list(table["path"]) == ["a.dcm"]
    assert {reject.path: reject.code for reject in rejects} == {"b.dcm": "for_processing", "labels.csv": "table"}
