import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf import guard
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.evaluation.predictions import COLUMNS
from mammo_tf.guard import AHEAD, Limits, guarded
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.reading import frames, read
from mammo_tf.reporting.manifest_sheet import manifest_sheet
from mammo_tf.serving import export_bundle, open_bundle
from mammo_tf.serving import predict as module
from mammo_tf.serving.predict import predict
from mammo_tf.study import Projection, read_manifest, write_manifest
from mammo_tf.training import ModelCard, Threshold, TrainingDomain, load_model, save_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

SIZE = (128, 128)
TRAINING_MEAN = 0.27


@pytest.fixture(scope="module")
def model(films, tmp_path_factory):
    """A model file of the preset `default` whose scores spread over the films."""
    preprocessing = Preprocessing.preset("default", SIZE)
    pictures = [preprocessing(read(path).pixels) for path in sorted(films.parent.glob("*.png"))]
    keras.utils.set_random_seed(3)
    network = end2end(STUMP, "512x1", (*SIZE, 3), width=1 / 16)
    head = network.layers[-1]
    features = np.asarray(keras.Model(network.input, head.input).predict(np.stack(pictures), verbose=0))
    along = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][0]
    along *= 1.5 / (features @ along).std()
    head.set_weights([np.column_stack([np.zeros_like(along), along]), np.array([0.0, -(features @ along).mean()])])
    path = tmp_path_factory.mktemp("model") / "model.keras"
    domain = TrainingDomain(grey_mean=TRAINING_MEAN)
    thresholds = (Threshold("image", 0.5, "by hand"),)
    save_model(path, network, ModelCard(preprocessing=preprocessing, training_domain=domain, thresholds=thresholds))
    return path


@pytest.fixture(scope="module")
def bundle(model):
    return export_bundle(load_model(model), model.parent / "saved_models", "films").parent


def keras_scores(model, files):
    loaded = load_model(model)
    return np.asarray(loaded.model(np.stack([loaded.preprocessing(read(path).pixels) for path in files])))[:, 1]


def table_of(path):
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def test_bundle_and_model_give_the_scores_of_keras(model, bundle, films, tmp_path):
    files = sorted(films.parent.glob("*.png"))[:15]
    expected = keras_scores(model, files)
    assert expected.std() > 0.05
    for source in (bundle, model, model.parent):
        report = predict(source, files, tmp_path / "p.csv", batch_size=4)
        assert (report.images, report.rejects, report.warnings) == (15, 0, ())
        table = table_of(tmp_path / "p.csv")
        assert list(table.columns) == [*COLUMNS, "decision", "path", "grey_mean"]
        assert (table["decision"] == (table["score"].astype(float) >= 0.5).astype(int).astype(str)).all()
        assert list(table["path"]) == [str(path) for path in files]
        np.testing.assert_allclose(table["score"].astype(float), expected, rtol=0, atol=1e-5)
        assert (table["label"] == "").all()
        assert table["image_id"].is_unique
        assert table["patient_id"].is_unique


def test_what_is_served_is_what_was_measured(bundle, model, films):
    """`serving_default` looks for the breast in the graph; a pixel of its outline may differ."""
    files = sorted(films.parent.glob("*.png"))[:4]
    scored = open_bundle(bundle).score_png([path.read_bytes() for path in files])
    np.testing.assert_allclose(scored.score, keras_scores(model, files), rtol=0, atol=1e-3)
    blank = cv2.imencode(".png", np.zeros((150, 140), np.uint16))[1].tobytes()
    with pytest.raises(MammoError, match="no breast stands out"):
        open_bundle(bundle).score_png([blank])


def test_a_manifest_brings_labels_and_all_its_columns(bundle, films, tmp_path):
    predict(bundle, films, tmp_path / "p.csv")
    manifest = read_manifest(films)
    table = read_predictions(tmp_path / "p.csv")
    assert list(table["image_id"]) == list(manifest["image_id"])
    assert list(table["patient_id"]) == list(manifest["patient_id"])
    assert list(table["label"]) == [int(label == "malignant") for label in manifest["label"]]
    assert set(table["split"]) == {"train", "validation", "test"}
    assert set(table["age"]) == {"50"}


def test_every_file_is_scored_refused_or_passed_over(bundle, films, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(films.parent / "p0_CC.png", folder / "a.png")
    shutil.copy(films.parent / "p0_CC.png", folder / "b.png")
    (folder / "c.png").write_bytes((films.parent / "p1_CC.png").read_bytes()[:2000])
    cv2.imwrite(str(folder / "d.png"), np.zeros((150, 140), np.uint16))
    (folder / "e.dcm").write_text("no DICOM")
    (folder / "README.md").write_text("words")
    (folder / "labels.csv").write_text("path,label,laterality,view\na.png,benign,R,MLO\n")
    report = predict(bundle, folder, tmp_path / "out" / "p.csv", sheet=tmp_path / "out" / "s.png")
    assert (report.images, report.rejects) == (1, 4)
    assert sorted(report.passed_over) == ["README.md", "labels.csv"]
    refused = table_of(tmp_path / "out" / "p_rejects.csv").set_index("path")["code"].to_dict()
    assert refused == {
        "b.png": "duplicate", "c.png": "truncated", "d.png": "breast_not_found", "e.dcm": "not_dicom"
    }  # fmt: skip
    (row,) = table_of(tmp_path / "out" / "p.csv").to_dict("records")
    assert (row["path"], row["label"], row["laterality"], row["view"]) == ("a.png", "0", "R", "MLO")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p.csv", "p.json", "p_rejects.csv", "s.png"]
    assert cv2.imread(str(tmp_path / "out" / "s.png")).shape[1] > 1000


def test_files_named_one_by_one_are_each_accounted_for(bundle, films, tmp_path):
    one = films.parent / "p0_CC.png"
    (tmp_path / "notes.md").write_text("words")
    report = predict(bundle, [one, tmp_path / "gone.png", tmp_path / "notes.md", one], tmp_path / "p.csv")
    assert (report.images, report.rejects) == (1, 3)
    refused = table_of(report.rejects_path)
    assert sorted(refused["code"]) == ["duplicate", "file_missing", "not_dicom"]
    assert not refused["reason"].str.contains(str(tmp_path)).any()


def test_a_vanished_file_and_rejects_of_each_table_next_to_it(bundle, films, tmp_path):
    """Neither the rejects that a manifest came with nor those of another table are touched."""
    manifest = read_manifest(films)[:3].assign(label=["malignant", "", "benign"])
    for name in manifest["path"][:2]:
        shutil.copy(films.parent / name, tmp_path / name)
    write_manifest(manifest, tmp_path / "manifest.csv")
    (tmp_path / "rejects.csv").write_text("path,code,reason\nold.dcm,volume,a volume\n")
    for _ in range(2):
        report = predict(bundle, tmp_path / "manifest.csv", tmp_path / "p.csv")
        assert (report.images, report.rejects) == (2, 1)
        assert report.rejects_path == tmp_path / "p_rejects.csv"
        assert list(table_of(tmp_path / "p.csv")["label"]) == ["1", ""]
    other = predict(bundle, [tmp_path / manifest["path"].iloc[0], tmp_path / "gone.png"], tmp_path / "q.csv")
    assert list(table_of(other.rejects_path)["path"]) == [str(tmp_path / "gone.png")]
    assert list(table_of(tmp_path / "p_rejects.csv")["path"]) == [manifest["path"].iloc[2]]
    assert (tmp_path / "rejects.csv").read_text() == "path,code,reason\nold.dcm,volume,a volume\n"


def test_a_root_of_its_own(bundle, films, tmp_path):
    write_manifest(read_manifest(films)[:2], tmp_path / "manifest.csv")
    assert predict(bundle, tmp_path / "manifest.csv", tmp_path / "p.csv", root=films.parent).images == 2


def test_flips_as_asked_or_as_the_model_says(model, films, tmp_path):
    loaded = load_model(model)
    save_model(tmp_path / "flips.keras", loaded.model, replace(loaded.card, flips=True))
    files = sorted(films.parent.glob("*.png"))[:4]
    plain = predict(model, files, tmp_path / "p.csv").predictions["score"]
    asked = predict(model, files, tmp_path / "p.csv", flips=True).predictions["score"]
    said = predict(tmp_path / "flips.keras", files, tmp_path / "p.csv").predictions["score"]
    assert np.abs(plain - asked).max() > 1e-4
    np.testing.assert_allclose(asked, said, rtol=0, atol=1e-6)


def test_another_polarity_is_told(model, films, tmp_path):
    picture = cv2.imread(str(films.parent / "p0_CC.png"), cv2.IMREAD_UNCHANGED)
    legacy = Preprocessing.preset("legacy", SIZE)
    dark = ModelCard(preprocessing=legacy, training_domain=TrainingDomain(grey_mean=0.15))
    save_model(tmp_path / "m.keras", load_model(model).model, dark)
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), 65535 - picture)
        picture[number] += 1
    report = predict(tmp_path / "m.keras", tmp_path, tmp_path / "p.csv", sheet=tmp_path / "s.png")
    assert len(report.warnings) == 3
    assert "3 of 3 pictures are much brighter or darker" in report.warnings[0]
    assert "all 3 pictures score" in report.warnings[1]
    assert "the background of 3 pictures is the brightest part" in report.warnings[2]


def test_pictures_of_another_domain_are_told(model, films, tmp_path):
    stored = load_model(model)
    domain = TrainingDomain(grey_mean=TRAINING_MEAN, counts={"modality": {"FFDM": 9}})
    save_model(tmp_path / "m.keras", stored.model, replace(stored.card, training_domain=domain))
    write_manifest(read_manifest(films)[:2].assign(modality="FILM"), tmp_path / "m.csv")
    report = predict(tmp_path / "m.keras", tmp_path / "m.csv", tmp_path / "p.csv", root=films.parent)
    assert report.warnings == ("2 of 2 pictures are FILM; the model was trained on FFDM",)
    assert json.loads((tmp_path / "p.json").read_text())["threshold"] == 0.5


def refused(*arguments, **more):
    with pytest.raises(MammoError) as caught:
        predict(*arguments, **more)
    return caught.value


def test_bad_input_is_one_clear_error(bundle, model, films, tmp_path):
    one = films.parent / "p0_CC.png"
    out = tmp_path / "p.csv"
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.md").write_text("words")
    assert refused(bundle, [], out).code == "inputs_missing"
    assert refused(bundle, [films, one], out).code == "inputs_mixed"
    assert refused(bundle, tmp_path / "none.csv", out).code == "file_missing"
    assert refused(bundle, tmp_path / "empty", out).code == "folder_empty"
    assert refused(bundle, one, tmp_path / "empty").code == "not_a_file"
    assert refused(bundle, one, out, sheet=tmp_path / "sheet.pdf").code == "not_a_png"
    assert refused(bundle, one, tmp_path / "text.md" / "p.csv").code == "not_a_folder"
    assert refused(tmp_path / "no_model", one, out).code == "model_missing"
    assert not out.exists()
    nothing = refused(bundle, tmp_path / "text.md", out)
    assert nothing.code == "nothing_usable"
    assert "text.md" in nothing.sentence
    assert not out.exists()
    assert len(table_of(tmp_path / "p_rejects.csv")) == 1
    save_model(tmp_path / "bare.keras", load_model(model).model, None)
    assert refused(tmp_path / "bare.keras", one, out).code == "preprocessing_missing"


def test_a_table_that_would_destroy_another_file_is_refused_before_the_work(bundle, films, tmp_path):
    write_manifest(read_manifest(films)[:1], tmp_path / "m.csv")
    (tmp_path / "labels.csv").write_text("path,label\n")
    (tmp_path / "named").mkdir()
    shutil.copy(tmp_path / "m.csv", tmp_path / "named" / "p_rejects.csv")
    (tmp_path / "full" / "p_rejects.csv").mkdir(parents=True)
    (tmp_path / "metrics.json").write_text('{"test": {}}')
    before = sorted(tmp_path.rglob("*"))
    cases = [
        (films, tmp_path / "metrics.csv", "output_taken"),
        (films, tmp_path / "p.json", "not_a_csv"),
        (films, tmp_path / "p", "not_a_csv"),
        (films, tmp_path / "rejects.csv", "output_taken"),
        (tmp_path / "m.csv", tmp_path / "m.csv", "output_is_input"),
        (tmp_path, tmp_path / "labels.csv", "output_is_input"),
        (films, tmp_path / "q_rejects.csv", "output_taken"),
        (tmp_path / "named" / "p_rejects.csv", tmp_path / "named" / "p.csv", "output_is_input"),
        (films, tmp_path / "full" / "p.csv", "not_a_file"),
    ]
    for inputs, output, code in cases:
        assert refused(bundle, inputs, output, root=films.parent).code == code, output
    assert sorted(tmp_path.rglob("*")) == before


def test_memory_does_not_grow_with_the_number_of_files(bundle, films, tmp_path, monkeypatch):
    """No more pictures are ahead of the network than `guarded` allows for its workers, and a batch."""
    ahead, most = 0, 0

    def counted(work, items, workers, limits):
        def taken():
            nonlocal ahead, most
            for item in items:
                ahead += 1
                most = max(most, ahead)
                yield item

        return guarded(work, taken(), workers, limits)

    def take(self, batch):
        nonlocal ahead
        truth(self, batch)
        ahead -= len(batch)

    truth = module._Run.take
    monkeypatch.setattr(guard, "guarded", counted)
    monkeypatch.setattr(module._Run, "take", take)
    predict(bundle, films, tmp_path / "p.csv", batch_size=2, workers=2)
    assert ahead == 0
    assert most <= AHEAD * 2 + 2


@pytest.mark.long
def test_a_picture_that_is_too_much_for_its_reader_is_a_reject(bundle, films, tmp_path, monkeypatch):
    """A worker's memory is too small for one picture of 60 million pixels, which is otherwise sound."""
    monkeypatch.setattr(guard, "_idle", [])  # workers that other tests left may hold most of so little already
    monkeypatch.setattr(guard, "LIMITS", Limits(memory_bytes=800 << 20))
    shutil.copy(films.parent / "p0_CC.png", tmp_path / "a.png")
    cv2.imwrite(str(tmp_path / "large.png"), np.full((10000, 6000), 9999, np.uint16))
    report = predict(bundle, [tmp_path / "large.png", tmp_path / "a.png"], tmp_path / "p.csv")
    assert (report.images, report.rejects) == (1, 1)
    (refused,) = table_of(report.rejects_path).to_dict("records")
    assert refused["code"] in ("too_large", "bad_pixels")
    assert refused["path"] == str(tmp_path / "large.png")


def test_a_sheet_of_a_manifest_alone(films, tmp_path):
    manifest = read_manifest(films)[:30]
    manifest.loc[3, "path"] = "gone.png"
    pages = manifest_sheet(manifest, films.parent, tmp_path / "sheet.png")
    assert [page.name for page in pages] == ["sheet.png", "sheet-2.png"]


@pytest.mark.real
def test_real_dicom_files_two_scores_and_a_refusal(model, real_data, tmp_path):
    report = predict(model, real_data / "dicom", tmp_path / "p.csv", sheet=tmp_path / "sheet.png")
    assert (report.images, report.rejects) == (2, 1)
    rows = table_of(tmp_path / "p.csv").to_dict("records")
    assert [(row["path"], row["laterality"], row["view"], row["modality"]) for row in rows] == [
        ("MG1_J2KI.dcm", "L", "MLO", "FILM"), ("tomosynthesis_jpeg2k_3d.dcm", "L", "CC", "DBT")
    ]  # fmt: skip
    assert all(0 < float(row["score"]) < 1 for row in rows)
    refused = table_of(tmp_path / "p_rejects.csv").set_index("path")["code"].to_dict()
    assert refused == {"MG_Explicit_Little.dcm": "magnification"}
    assert report.passed_over == ("README.md",)
    assert report.sheets[0].stat().st_size > 10_000


@pytest.mark.long
def test_phantom_exams_of_two_machines(model, bundle, tmp_path):
    from mammo_tf.phantom import make_study

    make_study(tmp_path / "study", 2, ("ffdm_site_1", "ffdm_site_2"), seed=4, spacing_mm=0.4)
    manifest = tmp_path / "study" / "manifest.csv"
    table = read_manifest(manifest)
    expected = keras_scores(model, [manifest.parent / path for path in table["path"]])
    report = predict(bundle, manifest, tmp_path / "p.csv", sheet=tmp_path / "sheet.png")
    assert (report.images, report.rejects) == (16, 0)
    np.testing.assert_allclose(report.predictions["score"], expected, rtol=0, atol=1e-5)
    folder = predict(model, manifest.parent / "exams", tmp_path / "q.csv")
    np.testing.assert_allclose(sorted(folder.predictions["score"]), sorted(expected), rtol=0, atol=1e-5)
    assert folder.predictions["patient_id"].nunique() == 2


@pytest.mark.parametrize(
    ("projection", "parts"), [(Projection(), [(0, 8)]), (Projection("slab", slab_slices=5), [(0, 5), (5, 8)])]
)
def test_volumes_are_scored_as_the_model_was_trained(model, tmp_path, projection, parts):
    dbt = Path(__file__).parents[1] / "golden" / "dicom" / "dbt"
    shutil.copytree(dbt / "ct_per_slice", tmp_path / "data" / "volume")
    loaded = load_model(model)
    preprocessing = replace(Preprocessing.preset("legacy", SIZE), projection=projection)
    save_model(tmp_path / "model.keras", loaded.model, replace(loaded.card, preprocessing=preprocessing))
    report = predict(tmp_path / "model.keras", tmp_path / "data", tmp_path / "out.csv", workers=1, flips=False)
    table = table_of(tmp_path / "out.csv").astype({"score": float})
    volume = np.stack(list(frames(dbt / "ct_per_slice")))
    pictures = np.stack([preprocessing(volume[first:last].max(axis=0)) for first, last in parts])
    np.testing.assert_allclose(table["score"], np.asarray(loaded.model(pictures))[:, 1], atol=1e-4)
    assert report.rejects == 0
    if len(parts) > 1:
        assert list(table["frame"]) == [str(first + 1) for first, _ in parts]
        assert len(set(table["image_id"])) == 1
    else:
        assert "frame" not in table
