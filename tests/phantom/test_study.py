"""Whole studies on disk: files, truth, manifest, seeds, refusals."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.phantom import PatientGroup, load_machine, make_study
from mammo_tf.phantom.anatomy import STRETCH
from mammo_tf.phantom.projection import NIPPLE_ROW_MM, to_picture
from mammo_tf.phantom.study import draw_patients
from mammo_tf.study import findings_from_json, read_manifest

SITES = ("ffdm_site_1", "ffdm_site_2", "film", "film_8bit")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "data"
    manifest = make_study(folder, 4, SITES, 3, 0.6, prevalence={"malignant": 0.5, "benign": 0.25}, workers=1)
    return folder, manifest


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_manifest_is_whole(study):
    folder, manifest = study
    assert len(manifest) == 4 * 4 * len(SITES)
    assert read_manifest(folder / "manifest.csv").equals(manifest)
    assert set(manifest["site"]) == set(SITES)
    assert manifest["image_id"].is_unique and manifest["exam_id"].nunique() == 4 * len(SITES)
    assert set(manifest.groupby("site")["modality"].first()) == {"FFDM", "FILM"}
    breasts = manifest.drop_duplicates(["patient_id", "laterality"])
    assert sorted(breasts["label"])[:1] == ["benign"] and (breasts["label"] == "malignant").sum() == 2
    # A breast has one label whoever looks, and every view of a breast with a finding shows it.
    assert (manifest.groupby(["patient_id", "laterality"])["label"].nunique() == 1).all()
    assert ((manifest["findings"] != "") == (manifest["label"] != "normal")).all()


def test_files_are_dicom_as_their_machine_says(study):
    folder, manifest = study
    uids = set()
    for row in manifest.to_dict("records"):
        dataset = pydicom.dcmread(folder / row["path"])
        machine = load_machine(row["site"])
        pixels = dataset.pixel_array
        uids.add(dataset.SOPInstanceUID)
        assert str(dataset.PatientName).startswith("PHANTOM^")
        assert dataset.Manufacturer.startswith("mammo_tf phantom")
        assert "not clinical data" in dataset.ImageComments
        assert dataset.ImageLaterality == row["laterality"] and dataset.ViewPosition == row["view"]
        codes = {"CC": "399162004", "MLO": "399368009"}
        assert dataset.ViewCodeSequence[0].CodeValue == codes[row["view"]]
        assert dataset.PatientAge == f"{int(row['age']):03d}Y"
        assert [float(value) for value in dataset.PixelSpacing] == [row["spacing_row_mm"], row["spacing_column_mm"]]
        assert dataset.BitsStored == machine.presentation.bits and pixels.max() < 1 << dataset.BitsStored
        assert pixels.dtype == (np.uint8 if dataset.BitsStored == 8 else np.uint16)
        assert dataset.PhotometricInterpretation == machine.presentation.photometric
        if machine.modality == "FILM":
            assert (dataset.SOPClassUID.keyword, dataset.ConversionType) == ("SecondaryCaptureImageStorage", "DF")
            assert dataset.Modality == "RG" and "NominalScannedPixelSpacing" in dataset
        else:
            assert dataset.SOPClassUID.keyword == "DigitalMammographyXRayImageStorageForPresentation"
            assert dataset.Modality == "MG" and dataset.PresentationIntentType == "FOR PRESENTATION"
            assert dataset.ImagerPixelSpacing == dataset.PixelSpacing
    assert len(uids) == len(manifest)


def test_the_chest_wall_lies_at_the_side_that_the_laterality_tells(study):
    folder, manifest = study
    for row in manifest[manifest["site"] == "ffdm_site_1"].to_dict("records"):
        pixels = pydicom.dcmread(folder / row["path"]).pixel_array
        left, right = pixels[:, :5].mean(), pixels[:, -5:].mean()
        assert (left > right) == (row["laterality"] == "L")


def test_truth_agrees_with_itself_and_the_manifest(study):
    folder, manifest = study
    for row in manifest.to_dict("records"):
        truth = json.loads((folder / row["path"]).with_name("truth.json").read_text())
        image = truth["images"][f"{row['laterality']}_{row['view']}"]
        placed = truth["breasts"][row["laterality"]]
        assert placed["label"] == row["label"]
        findings = findings_from_json(row["findings"])
        assert len(findings) == len(image["findings"]) == len(placed["findings"])
        machine = load_machine(row["site"])
        for finding, seen, where in zip(findings, image["findings"], placed["findings"], strict=True):
            assert finding.bounds() == pytest.approx(tuple(seen["box"]), abs=0.02)
            assert finding.kind == seen["kind"] == where["kind"] and finding.label == row["label"]
            # The place in the picture is the projection of the place in the breast, the same for both views.
            column, down = to_picture(np.array(where["position_mm"]), row["view"]) / row["spacing_row_mm"]
            spare = round(216 / 0.6) - round(min(machine.field_mm[0], 216.0) / 0.6)
            down -= (spare if row["view"] == "MLO" else spare // 2) * 0.6 / row["spacing_row_mm"]
            x = seen["centre"][0] if row["laterality"] == "L" else image["columns"] - seen["centre"][0]
            assert (x, seen["centre"][1]) == pytest.approx((column, down), abs=1.5)
        assert len(image["breast"]) > 10
        assert bool(image["pectoral"]) == (row["view"] == "MLO")


def test_views_share_the_third_coordinate(study):
    """From CC and MLO alone the finding's height can be computed, and it is the one in the truth."""
    folder, manifest = study
    checked = 0
    for path in sorted(folder.glob("exams/*/ffdm_site_1/truth.json")):
        truth = json.loads(path.read_text())
        for side in "LR":
            for place, finding in enumerate(truth["breasts"][side]["findings"]):
                x, y, z = finding["position_mm"]
                seen = [truth["images"][f"{side}_{view}"]["findings"][place]["centre"] for view in ("CC", "MLO")]
                spacing = manifest[manifest["site"] == "ffdm_site_1"]["spacing_row_mm"].iloc[0]
                up = [
                    (NIPPLE_ROW_MM[view] - centre[1] * spacing) / STRETCH
                    for view, centre in zip(("CC", "MLO"), seen, strict=True)
                ]
                assert abs(seen[0][0] - seen[1][0]) * spacing < 1
                assert up[0] == pytest.approx(y, abs=1)
                assert np.sqrt(2) * up[1] - up[0] == pytest.approx(z, abs=2)
                checked += 1
    assert checked


def test_same_seed_same_bytes_with_any_number_of_workers(tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        make_study(tmp_path / name, 3, SITES[:3], 11, 0.8, workers=workers)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one == two and len(one) == 3 * 3 * 5 + 2
    make_study(tmp_path / "other", 3, SITES[:1], 12, 0.8, workers=1)
    same = "exams/p00000/ffdm_site_1/L_CC.dcm"
    assert files(tmp_path / "other")[same] != one[same]


def test_a_patient_is_the_same_whoever_else_is_in_the_study(tmp_path):
    first = make_study(tmp_path / "a", 2, SITES[:2], 5, 0.8, workers=1)
    groups = [PatientGroup("g", 2, ("ffdm_site_1",))]
    second = make_study(tmp_path / "b", groups, SITES[:2], 5, 0.8, workers=1)
    assert set(second["site"]) == {"ffdm_site_1"} and len(first) == 2 * len(second)
    for path in second["path"]:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_stopped_run_goes_on(tmp_path):
    whole = tmp_path / "whole"
    make_study(whole, 3, SITES[:2], 2, 0.8, workers=1)
    stopped = tmp_path / "stopped"
    make_study(stopped, 3, SITES[:2], 2, 0.8, workers=1)
    (stopped / "manifest.csv").unlink()
    for path in (stopped / "exams/p00001/ffdm_site_2").iterdir():
        path.unlink()
    kept = (stopped / "exams/p00002/ffdm_site_1/L_CC.dcm").stat().st_mtime_ns
    make_study(stopped, 3, SITES[:2], 2, 0.8, workers=1)
    assert files(stopped) == files(whole)
    assert (stopped / "exams/p00002/ffdm_site_1/L_CC.dcm").stat().st_mtime_ns == kept
    with pytest.raises(MammoError) as caught:
        make_study(stopped, 4, SITES[:2], 2, 0.8, workers=1)
    assert caught.value.code == "study_differs"


def test_pairs_are_matched(tmp_path):
    manifest = make_study(tmp_path / "study", 4, SITES[:1], 6, 1.2, pairs=True, workers=1)
    for _, pair in manifest.groupby("pair_id"):
        women = pair.groupby("patient_id")
        assert len(women) == 2
        assert women["density"].first().nunique() == 1
        assert (women["age"].first() // 5).nunique() == 1
        cases = women["label"].agg(lambda labels: bool(set(labels) & {"malignant", "high_risk"}))
        assert sorted(cases) == [False, True]


def test_groups_carry_splits_and_sites():
    groups = [
        PatientGroup("source", 10, ("ffdm_site_1",), "train"),
        PatientGroup("target", 8, ("ffdm_site_2",), "train"),
        PatientGroup("both", 6, ("ffdm_site_1", "ffdm_site_2"), "test"),
    ]
    shares = {"normal": 0.2, "malignant": 0.5, "high_risk": 0.1, "benign": 0.2}
    people = draw_patients(groups, ["ffdm_site_1", "ffdm_site_2"], 0, shares, pairs=False)
    assert [patient.sites for patient in people] == [(0,)] * 10 + [(1,)] * 8 + [(0, 1)] * 6
    assert {patient.split for patient in people[:18]} == {"train"}
    worst = [max(patient.labels, key=["normal", "benign", "high_risk", "malignant"].index) for patient in people[:10]]
    assert sorted(worst) == ["benign"] * 2 + ["high_risk"] + ["malignant"] * 5 + ["normal"] * 2


def test_patients_can_be_dealt_out(tmp_path):
    manifest = make_study(tmp_path / "study", 3, SITES[:2], 6, 1.2, shared=False, workers=1)
    assert (manifest.groupby("patient_id")["site"].nunique() == 1).all()
    assert set(manifest["site"]) == set(SITES[:2])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"patients": 0}, "patients_wrong"),
        ({"patients": 10**20}, "patients_wrong"),
        ({"patients": 3, "pairs": True}, "patients_wrong"),
        ({"patients": [PatientGroup("a", 2, ("elsewhere",))]}, "sites_wrong"),
        ({"patients": [PatientGroup("a", 2, ("ffdm_site_1",), "tests")]}, "patients_wrong"),
        ({"sites": ["ffdm_site_9"]}, "machine_unknown"),
        ({"sites": []}, "sites_wrong"),
        ({"sites": ["ffdm_site_1", "ffdm_site_1"]}, "sites_wrong"),
        ({"seed": -1}, "number_wrong"),
        ({"spacing_mm": 0.01}, "number_wrong"),
        ({"spacing_mm": float("nan")}, "number_wrong"),
        ({"conspicuity": 0.0}, "number_wrong"),
        ({"prevalence": {"malign": 0.5}}, "prevalence_wrong"),
        ({"prevalence": {"malignant": 0.8, "benign": 0.4}}, "prevalence_wrong"),
        ({"prevalence": {"benign": 1.0}, "pairs": True}, "prevalence_wrong"),
    ],
)
def test_wrong_wishes_are_refused_and_leave_nothing(tmp_path, change, code):
    wishes = {"patients": 2, "sites": ["ffdm_site_1"], "seed": 0, "spacing_mm": 1.0, "workers": 1} | change
    with pytest.raises(MammoError) as caught:
        make_study(tmp_path / "study", **wishes)
    assert caught.value.code == code
    assert not (tmp_path / "study").exists()


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MammoError) as caught:
        make_study(tmp_path, 1, SITES[:1], 0, 1.0, workers=1)
    assert caught.value.code == "folder_exists"
    with pytest.raises(MammoError) as caught:
        make_study(tmp_path / "notes.txt" / "deeper", 1, SITES[:1], 0, 1.0, workers=1)
    assert caught.value.code == "not_a_folder"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"row": []}'])
def test_a_damaged_truth_is_told_and_its_exam_made_again(content: str, tmp_path: Path) -> None:
    settings = (2, SITES[:1], 3, 1.2)
    make_study(tmp_path, *settings, workers=1)
    whole = files(tmp_path)
    truth = sorted(tmp_path.glob("exams/*/*/truth.json"))[0]
    (tmp_path / "manifest.csv").unlink()
    truth.write_text(content)
    with pytest.raises(MammoError, match=r"truth\.json is damaged") as caught:
        make_study(tmp_path, *settings, workers=1)
    assert caught.value.remedy == f"Remove {truth.parent}, and the exam is made again"
    for path in [*truth.parent.rglob("*")]:
        path.unlink()
    truth.parent.rmdir()
    make_study(tmp_path, *settings, workers=1)
    assert files(tmp_path) == whole
