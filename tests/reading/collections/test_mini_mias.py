"""mini-MIAS on invented films with a table of the same form and quirks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.study import findings_from_json

INFO = """              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
3) Coordinate system origin is the bottom-left corner.

mdb001 G CIRC B 535 425 197
mdb002 D NORM
mdb003 F MISC B 233 994 29
mdb003 F MISC M 313 540 27
mdb004 F CALC M *NOTE 3*
mdb005 F CIRC B
mdb006 D NORM \t
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Films 1 to 4 as PNG, 5 as PGM, 6 of another size, 7 unknown to the table, 1 a second time."""
    (tmp_path / "Info.txt").write_text(INFO)
    film = np.zeros((1024, 1024), dtype=np.uint8)
    for name in ("mdb001.png", "mdb002.png", "mdb003.png", "mdb004.png", "mdb005.pgm", "mdb007.png"):
        cv2.imwrite(str(tmp_path / name), film)
    cv2.imwrite(str(tmp_path / "mdb006.pgm"), film[:100])
    cv2.imwrite(str(tmp_path / "mdb001.pgm"), film)
    (tmp_path / "Licence.txt").write_text("research only")
    return tmp_path


def test_films_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("mini-mias", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "mdb001": "benign",
        "mdb002": "normal",
        "mdb003": "malignant",
        "mdb004": "malignant",
        "mdb005": "benign",
    }
    assert list(rows["patient_id"]) == ["mias001", "mias001", "mias002", "mias002", "mias003"]
    assert list(rows["laterality"]) == ["R", "L", "R", "L", "R"]
    assert set(rows["view"]) == {"MLO"}
    assert set(rows["modality"]) == {"FILM"}
    assert set(rows["spacing_row_mm"]) == {0.2}
    assert list(rows["tissue"]) == ["G", "D", "F", "F", "F"]
    assert set(rows["density"]) == {""}
    assert {reject.path: reject.code for reject in rejects} == {
        "Info.txt": "table",
        "Licence.txt": "not_a_film",
        "mdb001.png": "duplicate",
        "mdb006.pgm": "wrong_size",
        "mdb007.png": "not_in_table",
    }


def test_findings_lie_in_rows_from_the_top(root: Path) -> None:
    rows = collections.collect("mini-mias", root)[0].set_index("image_id")
    (mass,) = findings_from_json(rows.loc["mdb001", "findings"])
    assert mass.circle == (535, 1023 - 425, 197)
    benign, malignant = findings_from_json(rows.loc["mdb003", "findings"])
    assert (benign.label, malignant.label) == ("benign", "malignant")
    for film in ("mdb004", "mdb005"):
        (finding,) = findings_from_json(rows.loc[film, "findings"])
        assert finding.bounds() is None
    assert rows.loc["mdb002", "findings"] == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nothing here", "table_broken"),
        ("mdb001 G CIRC X 1 2 3", "table_broken"),
        ("mdb001 G NORM B", "table_broken"),
        ("mdb001 G CALC", "table_broken"),
    ],
)
def test_a_broken_table_is_one_clear_line(text: str, code: str, root: Path) -> None:
    (root / "Info.txt").write_text(text)
    with pytest.raises(MammoError) as caught:
        collections.collect("mini-mias", root)
    assert caught.value.code == code


def test_a_missing_table_is_one_clear_line(root: Path) -> None:
    (root / "Info.txt").unlink()
    with pytest.raises(MammoError) as caught:
        collections.collect("mini-mias", root)
    assert caught.value.code == "table_missing"


@pytest.mark.real
def test_real_films(real_data: Path) -> None:
    table = collections.collect("mini-mias", real_data / "mini_mias")[0].set_index("image_id")
    assert table["patient_id"].nunique() == 49
    assert table.loc["mdb144", "label"] == "malignant"
    places = [f.bounds() for text in table["findings"] for f in findings_from_json(text)]
    assert (len(places), places.count(None)) == (49, 4)
