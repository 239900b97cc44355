"""Results as DICOM objects: reports and segmentations say what the table says, and nobody else is told who."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import highdicom
import numpy as np
import pandas as pd
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving import dicom_extra
from mammo_tf.serving.bundle import Scored
from mammo_tf.serving.dicom_codes import plain, result_uid
from mammo_tf.serving.dicom_exams import Making, exam_objects, write_exams
from mammo_tf.serving.dicom_masks import make_mask
from mammo_tf.serving.dicom_out import DicomOut
from mammo_tf.serving.dicom_read import ReadReport, read_results
from mammo_tf.serving.dicom_report import Exam, SourceResults
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts, Region, image_result
from mammo_tf.serving.dicom_source import read_source
from mammo_tf.serving.predict import predict
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.predict_picture import prepare_picture
from mammo_tf.serving.scorer import Scorer, open_scorer
from mammo_tf.study import Projection
from mammo_tf.training import Classification, ModelCard, Segmentation, Threshold

sys.path.insert(0, str(Path(__file__).parent))
import dicom_objects as made  # noqa: E402 - objects that more than one file of tests asks for

MODEL = ModelFacts("tiny", "1", "f" * 64, threshold=0.5, rule="chosen", segments=True)
SECRETS = ("CANARY", "GRETEL", made.BIRTH)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three exams, one of volumes; a PNG; an exam without patient, one without study, one of two patients."""
    folder = tmp_path_factory.mktemp("exams")
    for number, frames in ((1, 0), (2, 0), (3, 5)):
        made.write_exam(folder, number, bright=number != 2, frames=frames)
    cv2.imwrite(str(folder / "film.png"), made.breast(7, False) * 16)
    for name, keyword in (("nobody", "PatientID"), ("nowhere", "StudyInstanceUID")):
        path = folder / f"{name}.dcm"
        header = made.write_image(path, "PID8", name, "L", "CC", seed=len(name))
        header[keyword].value = ""
        header.save_as(path)
    made.write_image(folder / "mixed" / "a.dcm", "PID9", "mixed", "L", "CC", seed=91)
    made.write_image(folder / "mixed" / "b.dcm", "PID10", "mixed", "R", "CC", seed=92)
    return folder


@pytest.fixture(scope="module")
def written(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """What `predict --dicom-out` leaves, for a classifier (with captures) and a segmenter, and what it prints."""
    folder = tmp_path_factory.mktemp("written")
    models = {
        "classifier": made.save_classifier(folder / "c.keras"),
        "segmenter": made.save_segmenter(folder / "s.keras"),
    }
    found = {}
    for name, model in models.items():
        told = StringIO()
        out = folder / name
        more = ["--secondary-capture"] if name == "classifier" else []
        with redirect_stdout(told):
            code = main(["predict", str(model), str(inputs), "-o", f"{out}.csv", "--dicom-out", str(out), *more])
        assert code == 0
        found[name] = out, told.getvalue()
    return found


def reports_of(folder: Path) -> dict[str, ReadReport]:
    """Every report by the name of its exam's folder."""
    return {path.parent.name: read_results(path) for path in sorted(folder.glob("*/report.dcm"))}


@pytest.mark.parametrize("name", ["classifier", "segmenter"])
def test_reports_say_what_the_table_says(written: dict[str, Any], inputs: Path, name: str) -> None:
    folder, _ = written[name]
    table = pd.read_csv(f"{folder}.csv", dtype={"exam_id": str}).set_index("image_id")
    reports = reports_of(folder)
    assert len(reports) == 3
    seen = 0
    for exam, report in reports.items():
        rows = table[table["exam_id"] == exam]
        assert len(report.images) == len(rows) == 4
        by_image = {keyed_hash("image", result.images[0]): result for result in report.images}
        for image, row in rows.iterrows():
            result = by_image[image]
            assert result.score == pytest.approx(row["score"], abs=1e-9)
            assert result.decision is bool(row["decision"])
            assert result.threshold == 0.5
            assert result.name.endswith(f"{row['laterality']} {row['view']}")
            assert result.probability == (pytest.approx(row["probability"], abs=1e-9) if name == "classifier" else None)
            seen += 1
        breasts = rows.groupby("laterality")["score"].mean()
        assert report.exam.score == pytest.approx(breasts.max(), abs=1e-9)
        assert report.exam.decision is bool(rows["decision"].max())
        assert report.model == {"classifier": "tiny", "segmenter": "outliner"}[name]
        assert report.identity.startswith(report.version)
        assert len(report.identity) == 64
    assert seen == 12
    assert {report.exam.decision for report in reports.values()} == {True, False}


def test_segmentations_are_the_masks_pixel_by_pixel_and_never_empty(written: dict[str, Any], inputs: Path) -> None:
    folder, _ = written["segmenter"]
    regions = sorted(folder.glob("*/region_*.dcm"))
    assert len(regions) == 4  # two breasts with a bright disc, one film exam and one of volumes, two views each
    for path in regions:
        stored = highdicom.seg.segread(path)
        source = stored.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        mask = cv2.imread(str(folder.with_name("segmenter_masks") / f"{keyed_hash('image', source)}.png"), 0) > 0
        assert mask.any()
        frames = range(1, 6) if stored.NumberOfFrames > 1 else None
        if frames is None:
            found = stored.get_pixels_by_source_instance([source])
        else:
            found = stored.get_pixels_by_source_frame(source, list(frames), ignore_spatial_locations=True)
        assert found.shape == (1 if frames is None else 5, *mask.shape, 1)
        assert all(np.array_equal(frame[..., 0] > 0, mask) for frame in found)
        assert stored.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lesion"
        assert stored.ContentCreatorName == "", "a type 2: it has to be there"
    reports = reports_of(folder)
    told = {uid for report in reports.values() for uid in report.segmentations}
    assert told == {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in regions}
    states = {result.region for report in reports.values() for result in report.images}
    assert states == {"REGIONWRITTEN", "REGIONEMPTY"}


def test_a_heat_map_is_outlined_where_an_image_is_called_positive(written: dict[str, Any], inputs: Path) -> None:
    folder, _ = written["classifier"]
    for report in reports_of(folder).values():
        for result in report.images:
            assert result.region == ("REGIONWRITTEN" if result.decision else "REGIONNEGATIVE")
    for path in sorted(folder.glob("*/region_*.dcm")):
        stored = highdicom.seg.segread(path)
        marked = stored.pixel_array.reshape(-1, made.ROWS, made.COLUMNS)[0] > 0
        y, x = np.argwhere(marked).mean(axis=0)
        assert 55 < y < 85  # the disc lies at 60 to 79, 40 from the chest wall of a left breast
        assert 30 < x < 50
        assert marked.mean() < 0.1
        assert stored.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Selected region"


def test_highdicom_reads_reports_back(written: dict[str, Any]) -> None:
    for folder, _ in written.values():
        for path in folder.glob("*/report.dcm"):
            report = highdicom.sr.srread(path)
            groups = report.content.get_image_measurement_groups()
            assert len(groups) == 5  # the exam and four images
            images = [image for group in groups[1:] for image in group.source_images]
            named = {str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for image in images}
            evidence = {str(uid) for _, _, uid, _ in report.get_evidence(current_procedure_only=True)}
            assert len(named) == 4
            assert evidence == named | set(read_results(path).segmentations)


def test_patient_and_study_are_those_of_the_source_and_in_no_other_file(written: dict[str, Any], inputs: Path) -> None:
    sources = {str(one.StudyInstanceUID): one for one in map(pydicom.dcmread, inputs.glob("exam*/LCC.dcm"))}
    for folder, told in written.values():
        objects = sorted(folder.glob("*/*.dcm"))
        series: dict[tuple[str, str], set[str]] = {}
        for path in objects:
            one = pydicom.dcmread(path)
            source = sources[one.StudyInstanceUID]
            for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyDate",
                            "StudyID", "AccessionNumber", "StudyDescription", "PatientComments"):  # fmt: skip
                assert one[keyword].value == source[keyword].value
            assert one.SeriesInstanceUID not in {source.SeriesInstanceUID, source.StudyInstanceUID}
            series.setdefault((one.StudyInstanceUID, one.Modality), set()).add(one.SeriesInstanceUID)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert all(len(uids) == 1 for uids in series.values())
        tables = [folder / "rejects.csv", *folder.parent.glob(f"{folder.name}*.csv"), folder.with_suffix(".json")]
        text = told + "".join(path.read_text() for path in tables) + " ".join(map(str, folder.rglob("*")))
        assert not any(secret in text for secret in SECRETS)
        assert len(tables) == 4


def test_what_has_no_patient_or_study_is_refused_and_the_rest_goes_on(written: dict[str, Any]) -> None:
    for folder, told in written.values():
        rejects = pd.read_csv(folder / "rejects.csv").set_index("path")["code"].to_dict()
        assert rejects == {
            "film.png": "source_not_dicom",
            "nobody.dcm": "patient_missing",
            "nowhere.dcm": "study_missing",
            "mixed/a.dcm": "patients_differ",
            "mixed/b.dcm": "patients_differ",
        }
        assert told.count("no DICOM result: ") == 5
        assert "3 exams" in told
        assert len(pd.read_csv(f"{folder}.csv")) == 17


def test_captures_show_the_result_and_say_that_they_are_burned(written: dict[str, Any]) -> None:
    folder, _ = written["classifier"]
    for exam, report in reports_of(folder).items():
        captures = sorted(folder.glob(f"{exam}/capture_*.dcm"))
        assert len(captures) == 4
        for path, result in zip(captures, report.images, strict=True):
            one = pydicom.dcmread(path)
            assert one.BurnedInAnnotation == "YES"
            assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == result.images[0]
            pixels = one.pixel_array
            orange = (pixels[..., 0] > 200) & (pixels[..., 2] < 120)
            assert orange.any() == (result.region == "REGIONWRITTEN")
            assert (pixels[made.ROWS :] > 200).any()  # lines of text
    assert not list(written["segmenter"][0].glob("*/capture*"))


def test_the_same_result_has_the_same_uids_and_another_has_others(inputs: Path) -> None:
    def uids(model: ModelFacts, score: float = 0.7) -> set[str]:
        results = [result_of(path, score) for path in sorted((inputs / "exam1").glob("*.dcm"))]
        objects = exam_objects(results_study(results), results, Making(model, Projection()))
        assert set(objects) == {"report.dcm", *(f"region_{number:02d}.dcm" for number in range(1, 5))}
        return {str(one.SOPInstanceUID) for one in objects.values()}

    first = uids(MODEL)
    assert len(first) == 5
    assert uids(MODEL) == first
    assert len(uids(MODEL, 0.71) - first) == 1  # the report alone: masks are the same
    other = ModelFacts("tiny", "2", "e" * 64, threshold=0.5, rule="chosen", segments=True)
    assert not uids(other) & first
    assert result_uid("a", "b") != result_uid("ab")


def result_of(path: Path, score: float = 0.7, decision: bool | None = True, abstains: bool = False,
              part: dict[str, Any] | None = None, marked: bool = True) -> ImageResult:  # fmt: skip
    """What a model might say of a file: its middle is marked."""
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    size = (int(header.Rows), int(header.Columns))
    mask = np.zeros(size, np.bool_)
    mask[size[0] // 3 : size[0] // 2, size[1] // 3 : size[1] // 2] = True
    region = Region.of(mask, item_like(size)) if marked else None
    candidate = Candidate(path, path.name, part=part or {})
    why = "written" if marked else "empty"
    distance = 9.5 if abstains else 1.25
    return ImageResult(candidate, "L", "CC", "FFDM", score, None, decision, abstains, distance, region, why)


def item_like(size: tuple[int, int]) -> Any:
    """What `Region.of` asks of a prepared picture."""

    class Item:
        affine = np.eye(2, 3)
        stored_size = size

    return Item()


def results_study(results: list[ImageResult]) -> str:
    return read_source(results[0].candidate).study


def test_abstention_is_neither_positive_nor_negative(inputs: Path, tmp_path: Path) -> None:
    files = sorted((inputs / "exam2").glob("*.dcm"))
    results = [result_of(path, 0.1, False, marked=False) for path in files[:3]]
    results.append(result_of(files[3], 0.9, None, abstains=True, marked=False))
    objects = exam_objects(results_study(results), results, Making(MODEL, Projection()))
    objects["report.dcm"].save_as(tmp_path / "report.dcm", enforce_file_format=True)
    found = read_results(tmp_path / "report.dcm")
    assert set(objects) == {"report.dcm"}
    assert found.exam.decision is None
    assert found.exam.abstains
    assert [one.abstains for one in found.images] == [False, False, False, True]
    assert [one.decision for one in found.images] == [False, False, False, None]
    assert [one.distance for one in found.images] == [1.25, 1.25, 1.25, 9.5]


@pytest.mark.parametrize("name", ["ordered", "shuffled", "shuffled_position_only", "shuffled_j2k"])
def test_a_slab_marks_the_frames_that_it_was_made_of(golden: Path, name: str) -> None:
    path = golden / "dicom" / "dbt" / f"{name}.dcm"
    if not path.is_file():
        pytest.skip(f"{name} is not among the golden files here")
    results = [result_of(path, part={"frame": "2", "slab": "2"}), result_of(path, part={"frame": "7", "slab": "2"})]
    source = read_source(results[0].candidate)
    truth = json.loads((golden / "dicom" / "dbt" / "expected.json").read_text())[f"{name}.dcm"]
    wanted = sorted(truth["stored_to_true"].index(place) + 1 for place in (1, 2, 6, 7))
    mask = make_mask(source, results, MODEL, 1)
    assert mask is not None
    assert mask.object is not None
    assert list(mask.source_frames) == wanted
    found = mask.object.get_pixels_by_source_frame(
        source.image.SOPInstanceUID, list(range(1, 9)), ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    assert [number for number, frame in enumerate(found, 1) if frame.any()] == wanted


def test_a_volume_without_places_is_marked_as_a_whole_or_its_report_says_why_not(golden: Path, tmp_path: Path) -> None:
    path = golden / "dicom" / "dbt" / "no_per_frame_groups.dcm"
    whole, part = result_of(path), result_of(path, part={"frame": "2", "slab": "2"})
    for result, region, files in ((whole, "REGIONWRITTEN", 2), (part, "REGIONNOGEOMETRY", 1)):
        objects = exam_objects(results_study([result]), [result], Making(MODEL, Projection()))
        assert len(objects) == files
        objects["report.dcm"].save_as(tmp_path / "report.dcm", enforce_file_format=True)
        assert read_results(tmp_path / "report.dcm").images[0].region == region
        if files > 1:
            objects["region_01.dcm"].save_as(tmp_path / "region.dcm", enforce_file_format=True)
            stored = highdicom.seg.segread(tmp_path / "region.dcm")
            assert stored.NumberOfFrames == 1
            assert result.region is not None
            assert np.array_equal(stored.pixel_array > 0, result.region.stored())
            (derived,) = stored.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
            (image,) = derived.SourceImageSequence
            assert "ReferencedFrameNumber" not in image  # all of them
            assert image.ReferencedSOPClassUID == pydicom.dcmread(path).SOPClassUID


def test_an_image_that_highdicom_cannot_describe_is_evidence_without_being_in_the_library(
    golden: Path, tmp_path: Path
) -> None:
    header = pydicom.dcmread(golden / "dicom" / "traits" / "film_modality_rg.dcm")
    for keyword in ("ImagerPixelSpacing", "PatientOrientation"):
        if keyword in header:
            del header[keyword]
    header.save_as(tmp_path / "film.dcm")
    result = result_of(tmp_path / "film.dcm")
    report = exam_objects(results_study([result]), [result], Making(MODEL, Projection()))["report.dcm"]
    assert not [
        item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == "Image Library"
    ]
    assert header.SOPInstanceUID in {uid for _, _, uid, _ in report.get_evidence()}


@pytest.mark.real
def test_real_dicom_files_have_results(real_data: Path, tmp_path: Path) -> None:
    model = made.save_segmenter(tmp_path / "s.keras")
    report = predict(
        model, real_data / "dicom", tmp_path / "p.csv", dicom_out=DicomOut(tmp_path / "out", captures=True)
    )
    assert report.dicom is not None
    assert report.dicom.rejects == ()
    assert report.dicom.exams == len(reports_of(tmp_path / "out")) == report.images


def test_slices_in_a_folder_are_one_source(golden: Path) -> None:
    folder = golden / "dicom" / "dbt" / "ct_per_slice"
    first = min(folder.iterdir())
    header = pydicom.dcmread(first, stop_before_pixels=True)
    mask = np.zeros((int(header.Rows), int(header.Columns)), np.bool_)
    mask[5:9, 5:9] = True
    region = Region.of(mask, item_like(mask.shape))
    result = ImageResult(Candidate(folder, "ct"), "L", "CC", "DBT", 0.9, None, True, False, None, region, "written")
    source = read_source(result.candidate)
    assert len(source.images) == len(list(folder.iterdir())) > 1
    found = make_mask(source, [result], MODEL, 1)
    assert found is not None
    assert found.object is not None
    assert found.object.NumberOfFrames == len(source.images)


def accepted_canaries(golden: Path) -> list[Path]:
    """Golden files with planted strings that are accepted."""
    told = json.loads((golden / "dicom" / "canaries.json").read_text())
    names = {item["file"] for item in (told["canaries"] if isinstance(told, dict) else told)}
    return sorted(golden / "dicom" / name for name in names if (golden / "dicom" / name).is_file())


def test_names_in_any_character_set_are_copied_byte_by_byte(golden: Path, tmp_path: Path) -> None:
    for name in ("name_latin1", "name_utf8", "name_japanese", "name_undeclared_bytes", "private_implicit"):
        path = golden / "dicom" / "traits" / f"{name}.dcm"
        raw = pydicom.dcmread(path, stop_before_pixels=True)
        result = result_of(path)
        objects = exam_objects(results_study([result]), [result], Making(MODEL, Projection()))
        for file, one in objects.items():
            one.save_as(tmp_path / file, enforce_file_format=True)
            back = pydicom.dcmread(tmp_path / file)
            for keyword in ("PatientName", "PatientID", "SpecificCharacterSet"):
                if keyword in raw:
                    assert back.get_item(keyword).value == raw.get_item(keyword).value
                elif keyword == "SpecificCharacterSet":
                    assert keyword not in back


def test_canaries_are_in_no_table_and_no_message(golden: Path, tmp_path: Path, capfd: Any, caplog: Any) -> None:
    files = accepted_canaries(golden)
    assert len(files) >= 15
    model = made.save_classifier(tmp_path / "tiny.keras")
    out = tmp_path / "out"
    code = main(["-v", "predict", str(model), *map(str, files), "-o", str(tmp_path / "p.csv"), "--dicom-out", str(out)])
    assert code == 0
    printed = capfd.readouterr()
    objects = list(out.glob("*/*.dcm"))
    assert len(objects) >= 10
    tables = b"".join(path.read_bytes() for path in [*tmp_path.glob("*.csv"), tmp_path / "p.json", out / "rejects.csv"])
    text = (printed.out + printed.err + caplog.text).encode() + tables + " ".join(map(str, out.rglob("*"))).encode()
    for path in files:  # a file name is the user's own word, and may be shown
        text = text.replace(str(path).encode(), b"").replace(path.name.encode(), b"")
    assert [one for one in planted(golden) if one in text] == []
    inside = b"".join(path.read_bytes() for path in objects)
    assert any(one in inside for one in planted(golden))  # names have arrived


def planted(golden: Path) -> list[bytes]:
    """The planted strings as bytes."""
    told = json.loads((golden / "dicom" / "canaries.json").read_text())
    items = told["canaries"] if isinstance(told, dict) else told
    return [bytes.fromhex(one["bytes"]) if "bytes" in one else one["string"].encode() for one in items]


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_reports_of_others_are_refused_with_a_sentence(written: dict[str, Any], inputs: Path, tmp_path: Path) -> None:
    folder = written["segmenter"][0]
    region = next(folder.glob("*/region_*.dcm"))
    own = next(folder.glob("*/report.dcm"))
    packages = [Path(module.__file__).parent for module in (pydicom, highdicom)]
    foreign = [path for package in packages for path in package.rglob("*.dcm") if is_report(path)]
    assert len(foreign) >= 3  # those that pydicom brings
    (tmp_path / "text.dcm").write_text("a report")
    (tmp_path / "half.dcm").write_bytes(own.read_bytes()[: own.stat().st_size // 2])
    for path in (*foreign, region, inputs / "film.png", tmp_path / "text.dcm", tmp_path, inputs / "exam1" / "LCC.dcm"):
        with pytest.raises(MammoError) as caught:
            read_results(path)
        assert caught.value.code == "results_foreign", path
    with pytest.raises(MammoError) as caught:
        read_results(tmp_path / "half.dcm")
    assert caught.value.code == "truncated"
    with pytest.raises(MammoError) as caught:
        read_results(tmp_path / "absent.dcm")
    assert caught.value.code == "file_missing"
    lacking = pydicom.dcmread(own)
    del lacking.ContentSequence[-1]
    lacking.save_as(tmp_path / "lacking.dcm")
    with pytest.raises(MammoError) as caught:
        read_results(tmp_path / "lacking.dcm")
    assert caught.value.code == "results_damaged"


def is_report(path: Path) -> bool:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True).get("Modality") == "SR"
    except Exception:
        return False


def test_the_folder_and_the_libraries_are_looked_at_before_the_work(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(MammoError) as caught:
        DicomOut(tmp_path / "full")
    assert caught.value.code == "folder_exists"
    (tmp_path / "file").touch()
    with pytest.raises(MammoError) as caught:
        DicomOut(tmp_path / "file")
    assert caught.value.code == "folder_exists"
    assert main(["predict", "m", "x.dcm", "-o", str(tmp_path / "p.csv"), "--secondary-capture"]) == 2
    monkeypatch.setattr(dicom_extra, "find_spec", lambda name: None)
    with pytest.raises(MammoError) as caught:
        DicomOut(tmp_path / "new")
    assert caught.value.code == "extra_missing"
    assert "pip install 'mammo_tf[dicom-out]'" in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_nothing_half_written(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    results = [result_of(path) for path in sorted((inputs / "exam1").glob("*.dcm"))]
    wanted = iter((None, None, OSError(errno.ENOSPC, "no space")))

    def filling(_: int) -> None:
        error = next(wanted)
        if error is not None:
            raise error

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(MammoError) as caught:
        write_exams(tmp_path / "out", results, Making(MODEL, Projection()))
    assert caught.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_an_exam_is_positive_by_its_own_operating_point_where_there_is_one(inputs: Path) -> None:
    results = [result_of(path, 0.7, True) for path in sorted((inputs / "exam1").glob("*.dcm"))]
    parts = tuple(SourceResults(read_source(one.candidate), (one,)) for one in results)
    exam = Exam(results_study(results), parts)
    assert exam.score == pytest.approx(0.7)
    assert exam.decision(MODEL) is True
    assert exam.decision(ModelFacts("a", "1", "", threshold=0.5, exam_threshold=0.8)) is False
    assert exam.decision(ModelFacts("a", "1", "")) is None


def test_texts_suit_any_character_set() -> None:
    assert plain("modèle\\1\n") == "mod?le?1?"
    assert plain("x" * 80) == "x" * 64
    assert plain("") == "unnamed"


def test_what_the_graph_says_of_the_domain_is_taken(inputs: Path, written: dict[str, Any]) -> None:
    scorer = open_scorer(written["classifier"][0].with_name("c.keras"))
    candidate = Candidate(inputs / "exam1" / "LCC.dcm", "LCC.dcm")
    item = prepare_picture(candidate, scorer.preprocessing)
    assert item.candidate == candidate
    scored = scorer.score(item.picture[None])
    plain_result = image_result(scorer, item, scored, 0, None)
    assert (plain_result.decision, plain_result.abstains, plain_result.distance) == (True, False, None)
    far = Scored(dict(scored.named) | {"abstain": np.array([True]), "domain_distance": np.array([7.5], np.float32)})
    found = image_result(scorer, item, far, 0, None)
    assert (found.decision, found.abstains, found.distance) == (None, True, 7.5)
    assert found.region is None  # not called positive
    assert found.why == "undecided"


def test_a_bundle_is_named_by_its_folders_and_a_file_by_its_recipe(tmp_path: Path) -> None:
    card = ModelCard(recipe="mine", identity="abcdef" * 10, thresholds=(Threshold("exam", 0.3, "chosen"),))

    def facts(path: Path, task: Any = None) -> ModelFacts:
        return ModelFacts.of(Scorer(path, Preprocessing.preset("default", made.SIZE), replace(card, task=task), print))  # type: ignore[arg-type]

    version = tmp_path / "config2" / "3"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    assert (facts(version).name, facts(version).version) == ("config2", "3")
    named = facts(tmp_path / "model.keras")
    assert (named.name, named.version, named.threshold, named.exam_threshold) == ("mine", "abcdefabcdef", None, 0.3)
    assert named.positive == "label is malignant or high_risk"
    assert not named.cancer
    assert facts(version, Classification(positives=("malignant",))).cancer
    assert facts(version, Segmentation(findings=("mass",))).segments
