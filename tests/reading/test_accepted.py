"""What a judgement refuses is let in where somebody says so, and the row that travels says it too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import prepare
from mammo_tf.study import read_manifest
from mammo_tf.study.refusals import ACCEPTABLE

Write = Callable[..., None]
TRAITS = Path(__file__).parents[1] / "golden" / "dicom" / "traits"
CASES = json.loads((TRAITS / "expected.json").read_text())
JUDGED = {
    "magnification": {"EstimatedRadiographicMagnificationFactor": "1.8"},
    "spot": {"PaddleDescription": "SPOT 8CM"},
    "implant": {"BreastImplantPresent": "YES"},
    "quality_control": {"QualityControlImage": "YES"},
    "specimen": {"SeriesDescription": "SPECIMEN"},
    "screen_capture": {"SeriesDescription": "SCREEN SAVE"},
    "cut_out": {"SeriesDescription": "CROPPED"},
    "roi_mask": {"SeriesDescription": "ROI MASK"},
}


@pytest.mark.parametrize("code", JUDGED)
def test_a_judgement_refuses_unless_it_is_accepted(code: str, write_dicom: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, **JUDGED[code])
    others = [one for one in ACCEPTABLE if one != code]
    for accepted in ((), others):
        with pytest.raises(MammoError) as told:
            reading.read(path, accepted=accepted)
        assert told.value.code == code
    facts = reading.read(path, accepted=(code,)).facts
    assert facts.accepted == (code,)
    assert f"accepted: {code}" in facts.warnings
    assert reading.inspect_file(path, accepted=(code,)).accepted == (code,)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["decision"] == "accept"])
def test_nothing_is_noted_where_nothing_was_refused(name: str) -> None:
    assert reading.inspect_file(TRAITS / name, accepted=ACCEPTABLE).accepted == ()


def test_several_judgements_are_accepted_one_by_one(write_dicom: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, **JUDGED["magnification"], **JUDGED["implant"])
    with pytest.raises(MammoError) as told:
        reading.read(path, accepted=("magnification",))
    assert told.value.code == "implant"
    assert set(reading.read(path, accepted=("implant", "magnification")).facts.accepted) == {"implant", "magnification"}


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3000, (128, 100), dtype=np.uint16)


def test_an_accepted_picture_goes_the_whole_road(
    write_dicom: Write, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root, out = tmp_path / "archive", tmp_path / "out"
    root.mkdir()
    write_dicom(root / "whole.dcm", PatientID="P1")
    write_dicom(root / "large.dcm", noise(1), PatientID="P2", **JUDGED["magnification"])
    write_dicom(root / "implant.dcm", PatientID="P3", **JUDGED["implant"])
    assert main(["manifest", "folder", str(root), "-o", str(out), "--accept", "spot,magnification"]) == 0
    table = read_manifest(out / "manifest.csv").set_index("path")
    assert table["accepted"].to_dict() == {"large.dcm": "magnification", "whole.dcm": ""}
    assert "accepted: magnification" in table.loc["large.dcm", "warnings"]
    assert "implant.dcm,implant," in (out / "rejects.csv").read_text()
    assert "--accept implant" in (out / "rejects.csv").read_text()

    steps = Preprocessing.preset("legacy", (32, 32))
    manifest = read_manifest(out / "manifest.csv")
    assert prepare(manifest, root, tmp_path / "records", steps).images == 2
    manifest["accepted"] = ""
    refused = prepare(manifest, root, tmp_path / "strict", steps).rejects
    assert [(one.path, one.code) for one in refused] == [("large.dcm", "magnification")]
    assert reading.read_row({"path": "large.dcm", "accepted": "magnification"}, root).facts.laterality == "L"


def test_the_table_of_labels_accepts_for_one_file(write_dicom: Write, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_dicom(tmp_path / f"{name}.dcm", noise(number), PatientID=name, **JUDGED["implant"])
    (tmp_path / "labels.csv").write_text("path,label,accepted\na.dcm,normal,implant\nb.dcm,normal,\n")
    assert main(["manifest", "folder", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    table = read_manifest(tmp_path / "out" / "manifest.csv")
    assert list(zip(table["path"], table["accepted"], strict=True)) == [("a.dcm", "implant")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("truncated", "truncated cannot be accepted: the file ends too early. To be done: fetch it again"),
        ("view_missing", "view_missing cannot be accepted: nothing tells the view. Give view in labels.csv"),
        ("implnat", "no refusal has the code 'implnat'. Did you mean implant?"),
    ],
)
def test_what_cannot_be_accepted_is_one_line(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a.txt").write_text("no picture")
    assert main(["manifest", "folder", str(tmp_path), "-o", str(tmp_path / "out"), "--accept", words]) == 2
    assert capsys.readouterr().err == f"mammo-tf: --accept: {said}\n"
    assert not (tmp_path / "out").exists()
