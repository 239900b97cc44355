"""The page of `inspect`: what it finds in pictures, what it says, and how the command ends."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.reading import read_row
from mammo_tf.reporting.inspection import inspect_pictures, machine_of
from mammo_tf.reporting.inspection_page import check_page_path
from mammo_tf.study import make_manifest, read_manifest, write_manifest

sys.path.insert(0, str(Path(__file__).parents[1]))
from parsed_page import Page  # noqa: E402 - it lies above this file


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Women at two machines, a picture of training again in test, one that is told turned, one that is not there."""
    root = tmp_path_factory.mktemp("study")
    words = ["--patients", "6", "--site", "ffdm_site_1", "--site", "film", "--spacing", "0.8", "--workers", "1"]
    assert main(["phantom", str(root), *words]) == 0
    assert main(["split", str(root / "manifest.csv"), "--fractions", "50,25,25"]) == 0
    table = read_manifest(root / "manifest.csv")
    taken = table.index[table["split"] == "train"][0]
    pixels = read_row({str(key): value for key, value in table.loc[taken].items()}, root).pixels
    cv2.imwrite(str(root / "again.png"), np.rint(255 * np.sqrt(pixels)).astype(np.uint8))
    mine = table.loc[taken].to_dict()
    other = {"L": "R", "R": "L"}[mine["laterality"]]
    unlike = {"exam_id": "", "pair_id": "", "findings": "", "split": "test"}
    table.loc[len(table)] = mine | unlike | {
        "image_id": "again", "patient_id": "another", "path": "again.png", "laterality": other,
    }  # fmt: skip
    table.loc[len(table)] = mine | unlike | {"image_id": "lost", "patient_id": "lost", "path": "lost.png"}
    write_manifest(table, root / "leaking.csv")
    return root


def test_the_command_ends_with_leakage_and_leaves_the_page(study: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.html"
    assert main(["inspect", str(study / "leaking.csv"), "--report", str(page), "--workers", "1"]) == 2
    said = capsys.readouterr()
    # The film of the same breast in the same view looks the same too.
    (pairs,) = re.findall(r"^mammo-tf: (\d)+ pairs? of pictures looks? the same and stands? in different", said.err)
    assert said.err.count("\n") == 1
    assert " and again (test). Look at them" in said.err
    assert "1 picture does not hang as its laterality says" in said.out
    assert "1 of 50 pictures cannot be read" in said.out
    text = page.read_text()
    assert 'src="http' not in text and 'href="http' not in text, "the page needs nothing else"
    for words in (
        "50 images of 8 patients",
        f"look the same: {pairs}",
        "ffdm_site_1",
        "film",
        "lost.png",
        "file_missing",
    ):
        assert words in text, words
    assert text.count("data:image/jpeg;base64,") == 2 * int(pairs) + 49, "both of each pair, and a sheet of all"
    assert Page(text) is not None


def test_a_study_that_does_not_leak_ends_well(study: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.html"
    assert main(["inspect", str(study / "manifest.csv"), "--report", str(page), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "look" not in said and "hang" not in said, "the phantom's pictures raise no doubt"
    assert "Nothing leaks between splits" in page.read_text()


def test_tags_and_grey_levels_are_by_machine(study: Path) -> None:
    table = read_manifest(study / "manifest.csv")
    found = inspect_pictures(table, study, 1)
    assert len(found.rows) == len(table) == 48
    names = {machine_of(row) for row in table.to_dict("records")}
    assert set(found.machines()) == names and len(names) == 2
    for name, women, pictures, tags in found.tag_table():
        assert (women, pictures) == (6, 24)
        assert tags["spacing"] == "0.8 mm"
        assert tags["frames"] == "1"
        shares = found.grey()[name]
        assert shares.sum() == pytest.approx(1)
        middles = (np.arange(len(shares)) + 0.5) / len(shares)
        assert 0.2 < shares @ middles < 0.9
    assert found.of_splits == () and found.rejects == ()


@pytest.mark.parametrize("name", ["page.png", "page"])
def test_a_page_that_is_not_html_is_refused_before_any_work(name: str, study: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(MammoError) as told:
        check_page_path(tmp_path / name)
    assert told.value.code == "not_an_html_file"
    assert main(["inspect", str(study / "manifest.csv"), "--report", str(tmp_path / name)]) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_saturated_film_is_not_taken_for_a_broken_one(tmp_path: Path) -> None:
    """Means of ones come to more than one in float32: three real films of CBIS-DDSM were told as broken so."""
    rows = []
    for number, size in enumerate(((1500, 1137), (4432, 1100), (1777, 901))):
        film = np.zeros(size, np.uint16)
        film[:, : size[1] // 2] = 65535
        cv2.imwrite(str(tmp_path / f"{number}.png"), film)
        rows.append({"image_id": str(number), "patient_id": str(number), "path": f"{number}.png", "modality": "FILM"})
    found = inspect_pictures(make_manifest(rows), tmp_path, 1)
    assert found.rejects == () and len(found.looked) == 3
