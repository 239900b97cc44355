"""What files are taken for, where picture and header disagree, and the real DICOM files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.read import chest_wall_contradicts

GOLDEN = Path(__file__).parents[1] / "golden" / "dicom"


def code_of(path: Path, **given: str) -> str:
    with pytest.raises(MammoError) as caught:
        reading.read(path, **given)
    return caught.value.code


def test_dicom_is_known_by_content(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes((GOLDEN / "traits" / "complete.dcm").read_bytes())
    assert reading.read(path).facts.view == "MLO"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path / "nothing.dcm") == "file_missing"
    assert code_of(tmp_path) == "not_a_file"
    os.mkfifo(tmp_path / "pipe")
    assert code_of(tmp_path / "pipe") == "not_a_file"


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"x")
    path.chmod(0)
    assert code_of(path) == "unreadable"


def test_a_picture_that_lies_the_other_way_round_is_refused() -> None:
    path = GOLDEN / "traits" / "laterality_against_picture.dcm"
    assert code_of(path) == "laterality_picture"
    assert reading.inspect_file(path).laterality == "R"  # the header alone cannot tell
    assert reading.read(path, laterality="L").facts.laterality == "L"


def test_a_mirrored_picture_whose_header_says_so_is_taken() -> None:
    assert reading.read(GOLDEN / "traits" / "flipped_consistent.dcm").facts.flipped is True


@pytest.mark.parametrize("direction", ["A", "P"])
def test_only_plain_contradictions_count(direction: str) -> None:
    columns = np.arange(100)
    breast = np.broadcast_to((columns < 60) * 0.5, (80, 100)) * (np.abs(np.arange(80) - 40) < 30)[:, None]
    chest_wall_at_left = direction == "A"
    assert not chest_wall_contradicts(breast if chest_wall_at_left else breast[:, ::-1], [direction, "F"])
    assert chest_wall_contradicts(breast[:, ::-1] if chest_wall_at_left else breast, [direction, "F"])
    assert not chest_wall_contradicts(np.full((80, 100), 0.5), [direction, "F"])
    assert not chest_wall_contradicts(np.zeros((80, 100)), [direction, "F"])
    assert not chest_wall_contradicts(breast, [])


def test_facts_are_frozen_and_pixels_stay_out_of_what_is_printed() -> None:
    picture = reading.read(GOLDEN / "traits" / "complete.dcm")
    with pytest.raises(AttributeError):
        picture.facts.rows = 1  # type: ignore[misc]
    assert "pixels" not in repr(picture)


def test_the_room_needs_no_tensorflow() -> None:
    code = "import sys; from mammo_tf import reading; print({'tensorflow', 'keras'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.real
def test_real_dicom_files(real_data: Path) -> None:
    folder = real_data / "dicom"
    film = reading.read(folder / "MG1_J2KI.dcm")
    assert (film.facts.modality, film.facts.laterality, film.facts.view) == ("FILM", "L", "MLO")
    assert film.pixels.shape == (4664, 3064)
    assert film.facts.spacing_mm is None
    stored = reading.read_stored(folder / "MG1_J2KI.dcm")
    assert (stored.min(), stored.max()) == (0, 4095)
    assert code_of(folder / "MG_Explicit_Little.dcm") == "magnification"  # a test pattern with factor 1.5
    assert code_of(folder / "tomosynthesis_jpeg2k_3d.dcm") == "volume"
    frames = list(reading.frames(folder / "tomosynthesis_jpeg2k_3d.dcm", stored=True))
    assert np.stack(frames).shape == (4, 128, 128)
    assert (np.min(frames), np.max(frames)) == (0, 1023)
    facts = reading.volume_facts(folder / "tomosynthesis_jpeg2k_3d.dcm")
    assert (facts.modality, facts.laterality, facts.view, facts.windows) == ("DBT", "L", "CC", ((512, 512),))


@pytest.mark.real
def test_real_tissue_films_are_read(real_data: Path) -> None:
    for path in sorted((real_data / "ddsm_tissue" / "images").glob("*.png")):
        assert reading.read(path).pixels.shape == (960, 480)
