"""DDSM in its own form: invented cases, some of whose films were converted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.study import findings_from_json

OVERLAY = """TOTAL_ABNORMALITIES 1
ABNORMALITY 1
LESION_TYPE MASS SHAPE IRREGULAR MARGINS SPICULATED
ASSESSMENT 5
SUBTLETY 3
PATHOLOGY MALIGNANT
TOTAL_OUTLINES 1
BOUNDARY
10 20 2 2 2 4 4 6 6 6 0 0 #
"""


def _case(folder: Path, name: str, films: dict[str, str]) -> None:
    """A case whose films are 128 x 100; `OVERLAY` or `NON_OVERLAY` by film."""
    folder.mkdir(parents=True)
    lines = "".join(
        f"{film} LINES 128 PIXELS_PER_LINE 100 BITS_PER_PIXEL 12 RESOLUTION 43.5 {word}\n"
        for film, word in films.items()
    )
    head = f"filename {name}\nPATIENT_AGE 42\nDENSITY 2\nDIGITIZER HOWTEK\n"
    (folder / f"{name}.ics").write_text(head + lines)
    for film in films:
        (folder / f"{name.replace('-', '_')}.{film}.LJPEG").write_bytes(b"\xff\xd8\xff\xc3")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cancer case and a normal one; of five films four were converted, one of them to another size."""
    cancer, normal = tmp_path / "cancers/cancer_01/case3024", tmp_path / "normals/normal_01/case0002"
    _case(cancer, "B-3024-1", {"LEFT_CC": "OVERLAY", "LEFT_MLO": "OVERLAY", "RIGHT_CC": "NON_OVERLAY"})
    _case(normal, "A-0002-1", {"LEFT_CC": "NON_OVERLAY", "RIGHT_CC": "NON_OVERLAY"})
    for film in ("LEFT_CC", "LEFT_MLO"):
        (cancer / f"B_3024_1.{film}.OVERLAY").write_text(OVERLAY)
    picture = np.random.default_rng(0).integers(0, 4095, (128, 100)).astype(np.uint16)
    cv2.imwrite(str(cancer / "B_3024_1.LEFT_CC.png"), picture)
    cv2.imwrite(str(cancer / "B_3024_1.LEFT_MLO.LJPEG.png"), picture[:64])
    cv2.imwrite(str(cancer / "B_3024_1.RIGHT_CC.png"), picture)
    cv2.imwrite(str(normal / "A_0002_1.LEFT_CC.tif"), picture)
    (cancer / "TAPE_B_3024_1.COMB.16_PGM").write_bytes(b"P5")
    return tmp_path


def test_films_that_were_converted_are_listed_and_ljpeg_is_refused_with_the_tool(root: Path) -> None:
    table, rejects = collections.collect("ddsm", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "B_3024_1.LEFT_CC": "malignant", "B_3024_1.LEFT_MLO": "malignant", "B_3024_1.RIGHT_CC": "",
        "A_0002_1.LEFT_CC": "normal",
    }  # fmt: skip
    assert set(rows["density"]) == {"B"}
    assert set(rows["modality"]) == {"FILM"}
    assert set(rows["digitizer"]) == {"HOWTEK"}
    assert rows["spacing_row_mm"]["B_3024_1.LEFT_CC"] == pytest.approx(0.0435)
    assert rows["patient_id"]["A_0002_1.LEFT_CC"] == "A-0002-1"
    assert "research use only" in rows["terms"].iloc[0]
    assert Counter(reject.code for reject in rejects) == {"ljpeg": 5, "table": 4, "not_in_table": 1}
    assert all("get-ddsm-mammo" in reject.remedy for reject in rejects if reject.code == "ljpeg")
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert sorted([*table["path"], *(reject.path for reject in rejects)]) == files
    assert reading.read_row(rows.loc["A_0002_1.LEFT_CC"].to_dict(), root).facts.laterality == "L"


def test_boundaries_lie_in_films_of_their_size_alone(root: Path) -> None:
    rows = collections.collect("ddsm", root)[0].set_index("image_id")
    (mass,) = findings_from_json(rows["findings"]["B_3024_1.LEFT_CC"])
    assert (mass.kind, mass.label) == ("mass", "malignant")
    assert mass.contour == ((10, 20), (13, 20), (13, 22), (10, 22))
    (small,) = findings_from_json(rows["findings"]["B_3024_1.LEFT_MLO"])
    assert (small.label, small.bounds()) == ("malignant", None)
    assert "64 x 100 pixels, the .ics file says 128 x 100" in rows["warnings"]["B_3024_1.LEFT_MLO"]
    assert np.isnan(rows["spacing_row_mm"]["B_3024_1.LEFT_MLO"])


def test_what_of_a_case_cannot_be_read_costs_itself_alone(root: Path) -> None:
    cancer = root / "cancers/cancer_01/case3024"
    (cancer / "B_3024_1.LEFT_CC.OVERLAY").write_text(OVERLAY.replace("MALIGNANT", "?"))
    (cancer / "B_3024_1.LEFT_MLO.OVERLAY").unlink()
    (root / "normals/normal_01/case0002/A-0002-1.ics").write_text("filename A-0002-1\n")
    table, rejects = collections.collect("ddsm", root)
    assert table.set_index("image_id")["label"].to_dict() == {
        "B_3024_1.LEFT_CC": "", "B_3024_1.LEFT_MLO": "", "B_3024_1.RIGHT_CC": "",
    }  # fmt: skip
    codes = Counter(reject.code for reject in rejects)
    assert (codes["overlay_broken"], codes["ics_broken"], codes["file_missing"]) == (1, 1, 1)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files


def test_without_a_case_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "B_3024_1.LEFT_CC.LJPEG").write_bytes(b"x")
    with pytest.raises(MammoError, match="has no table of ddsm") as caught:
        collections.collect("ddsm", tmp_path)
    assert "A-1141-1.ics" in caught.value.remedy
