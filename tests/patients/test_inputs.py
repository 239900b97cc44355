"""Features and predictions of images become patients, unless they contradict each other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling
from mammo_tf.files import write_json
from mammo_tf.patients.inputs import features_and_predictions
from mammo_tf.patients.model import PatientRequest, fit_patient_model, request_settings
from mammo_tf.patients.table import VIEWS, read_patient_table
from mammo_tf.radiomics import FEATURES_32
from mammo_tf.radiomics.radiomic_features import Extraction

SPLITS = ("train", "validation", "test")


def images(folder: Path, patients: int = 12) -> tuple[Path, Path]:
    """Features as the command writes them, and predictions; one view is in neither."""
    generator = np.random.default_rng(1)
    rows = [
        {
            "image_id": f"p{patient} {view}", "patient_id": f"p{patient}", "pair_id": f"q{patient // 2}",
            "laterality": view[0], "view": view[2:], "label": ("normal", "malignant")[patient % 2],
            "age": 40.0 + patient, "split": SPLITS[max(0, patient // 2 - 3)], "score": generator.random(),
        }
        for patient in range(patients) for view in VIEWS
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    values = pd.DataFrame(generator.normal(size=(len(rows), 32)), columns=list(FEATURES_32))
    pd.concat([table.drop(columns="score"), values], axis=1).iloc[1:].to_csv(folder / "f.csv", index=False)
    write_json(folder / "f.json", {"extraction": {"names": "32"}})
    table["label"] = table["patient_id"].str[1:].astype(int) % 2
    table.drop(columns=["pair_id", "split"]).iloc[1:-1].to_csv(folder / "p.csv", index=False)
    return folder / "f.csv", folder / "p.csv"


def test_features_and_predictions_become_patients(tmp_path: Path) -> None:
    features, predictions = images(tmp_path)
    inputs = features_and_predictions(features, [predictions])
    assert inputs.extraction == Extraction("32")
    assert inputs.notes == (
        "1 of 47 images have features and no score, and are left out",
        "2 of 48 views are missing, each filled by the mean of the patient's other views",
    )
    table = inputs.table
    assert [int((table.splits == split).sum()) for split in SPLITS] == [8, 2, 2]
    assert list(table.groups[:3]) == ["q0", "q0", "q1"]
    assert table.column("age")[3] == 43.0
    scores = pd.read_csv(predictions).set_index("image_id")["score"]
    assert table.column("L_CC_pred")[0] == pytest.approx(scores[[f"p0 {view}" for view in VIEWS[1:]]].mean())
    given = pd.read_csv(features).set_index("image_id")
    assert table.column("imin_R_CC")[2] == given.loc["p2 R_CC", "imin"]
    settings = request_settings([("components", "3"), ("trees", "12"), ("leaf", "1")])
    fit_patient_model(inputs, tmp_path / "out", PatientRequest(settings=settings, resampling=Resampling(30)))
    again = read_patient_table(tmp_path / "out" / "patients.csv")
    np.testing.assert_allclose(again.values, table.values, rtol=1e-12)


def test_bad_features_and_predictions(tmp_path: Path) -> None:
    features, predictions = images(tmp_path)
    whole = pd.read_csv(features, dtype="str")

    def fails(table: pd.DataFrame | str, says: str, files: int = 1) -> None:
        path = tmp_path / "bad.csv"
        path.write_text(table if isinstance(table, str) else table.to_csv(index=False))
        with pytest.raises(MammoError, match=re.escape(says)):
            features_and_predictions(path, [predictions] * files)

    fails(whole, "stands in two files of predictions", files=2)
    fails(pd.concat([whole, whole[:1]]), "image 'p0 L_MLO' stands there twice")
    fails(whole.assign(imin=["", *whole["imin"][1:]]), "row 2: imin '' is not a finite number")
    fails(whole.assign(imin=["dark", *whole["imin"][1:]]), "row 2: imin 'dark' is not a finite number")
    fails(whole.to_csv(index=False).replace("imax", "imin", 1), "has the column 'imin' twice")
    fails(whole.assign(patient_id="p0"), "different patients")
    fails(whole.assign(split=["test", *whole["split"][1:]]), "patient 'p0' is in test and in train")
    fails(whole.assign(image_id=[f"x{number}" for number in range(len(whole))]), "no CC or MLO image in common")
    write_json(tmp_path / "bad.json", {"extraction": {"names": "34"}})
    fails(whole, "other features than the file next to it says")


def test_labels_that_contradict_each_other(tmp_path: Path) -> None:
    features, predictions = images(tmp_path)
    scores, words = pd.read_csv(predictions), pd.read_csv(features)

    def given(labels: object, theirs: dict[str, str]) -> tuple[str, ...]:
        scores.assign(label=labels).to_csv(predictions, index=False)
        words.assign(label=words["label"].map(theirs)).to_csv(features, index=False)
        return features_and_predictions(features, [predictions]).notes

    as_it_is, label = {"normal": "normal", "malignant": "malignant"}, scores["label"]
    flipped = label.where(scores.index > 0, 1 - label)
    for labels, theirs, says in (
        (1 - label, as_it_is, "image 'p0 L_MLO' is normal in the features and 1 in the predictions"),
        (flipped, as_it_is, "image 'p0 L_MLO' is normal in the features and 1 in .*, where other normal images are 0"),
        (1 - label, {"normal": "benign", "malignant": "malignant"}, "'p1 L_CC' is malignant in the .* and 0 in the"),
    ):
        with pytest.raises(MammoError, match=says) as caught:
            given(labels, theirs)
        assert caught.value.code == "labels_differ"
    assert len(given(label, {"normal": "", "malignant": "high_risk"})) == 2
    told = given(label, {"normal": "normal", "malignant": "benign"})  # predict can be told to count benign
    assert told[0] == "by the predictions benign count as positive, the other labels do not"


def test_what_contradicts_itself_about_an_image(tmp_path: Path) -> None:
    features, predictions = images(tmp_path)
    known = pd.read_csv(features, dtype="str").set_index("image_id")
    scores = pd.read_csv(predictions, dtype="str")
    for name in ("pair_id", "split"):
        scores[name] = scores["image_id"].map(known[name]).fillna("")
    scores["age"] = scores["age"].astype(float) + 1  # a birthday between two exports
    scores.to_csv(predictions, index=False)
    assert features_and_predictions(features, [predictions]).table.column("age")[0] == 40.0
    for name, value, code in (
        ("laterality", "R", "sides_differ"),
        ("view", "CC", "views_differ"),
        ("split", "test", "splits_differ"),
        ("pair_id", "q5", "pairs_differ"),
        ("age", "60", "ages_differ"),
    ):
        scores.assign(**{name: [value, *scores[name][1:]]}).to_csv(predictions, index=False)
        with pytest.raises(MammoError, match="give image 'p0 L_MLO' different") as caught:
            features_and_predictions(features, [predictions])
        assert caught.value.code == code
