"""Tables of patients: anyone's columns, missing views, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.patients.table import SCORES, VIEWS, assemble, patient_table, read_patient_table


def frame(patients: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"p{row}" for row in range(patients)], "group": "case"})
    table["age"] = 50 + np.arange(patients)
    table["true_label"] = np.arange(patients) % 2
    for name in SCORES:
        table[name] = generator.random(patients)
    for view in VIEWS:
        for feature in ("imin", "ccor", "shape_2d"):
            table[f"{feature}_{view}"] = generator.normal(size=patients)
    return table


def test_columns_in_order_and_others_left_alone(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "table.csv", index=False)
    table = read_patient_table(tmp_path / "table.csv")
    assert table.names[:6] == ("age", *SCORES, "imin_L_CC")
    assert table.names[8] == "imin_L_MLO"
    assert table.values.shape == (6, 1 + 4 + 12)
    assert table.labels.tolist() == [0, 1] * 3
    assert table.patients[0] == "p0"
    np.testing.assert_allclose(table.column("age"), 50 + np.arange(6))


def test_names_of_ones_own_and_pairs() -> None:
    table = frame().rename(columns={"true_label": "cancer", "id": "who"})
    table["couple"] = ["a", "a", "b", "b", "", ""]
    found = patient_table(table, {"label": "cancer", "patient": "who", "pair": "couple"})
    assert found.groups.tolist() == ["a", "a", "b", "b", "p4", "p5"]


def test_a_pair_and_a_patient_of_the_same_number_are_strangers() -> None:
    table = frame().assign(id=["1", "2", "3", "4", "5", "patient 1"], pair_id=["", "1", "1", "9", "9", ""])
    found = patient_table(table)
    assert found.pairs.tolist() == ["", "1", "1", "9", "9", ""]
    same = found.groups[:, None] == found.groups[None]
    assert [np.flatnonzero(row).tolist() for row in same] == [[0], [1, 2], [1, 2], [3, 4], [3, 4], [5]]


def test_a_missing_view_is_the_mean_of_the_others() -> None:
    given = frame()
    lost = [name for name in given if name.endswith(("R_MLO", "R_MLO_pred"))]
    given[lost] = given[lost].astype(object)
    given.loc[2, lost] = ""
    found = patient_table(given)
    assert found.filled == 1
    others = [f"imin_{view}" for view in VIEWS[:3]]
    assert found.column("imin_R_MLO")[2] == pytest.approx(given.loc[2, others].astype(float).mean())
    assert found.column("R_MLO_pred")[2] == pytest.approx(given.loc[2, list(SCORES[:3])].astype(float).mean())
    assert found.column("imin_R_MLO")[1] == given.loc[1, "imin_R_MLO"]


def _without(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    return table.drop(columns=list(names))


def _with(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    table = table.copy()
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "code", "says"),
    [
        (_without(frame(), "L_CC_pred"), "column_missing", "L_CC_pred"),
        (_without(frame(), "ccor_R_CC"), "column_missing", "'ccor_R_CC', but ccor of other views"),
        (_without(frame(), "true_label"), "column_missing", "no column 'label'"),
        (_with(frame(), 1, "true_label", "2"), "label_wrong", "row 3: label '2'"),
        (_with(frame(), 1, "imin_L_CC", ""), "feature_not_finite", "row 3: imin_L_CC is empty"),
        (_with(frame(), 1, "imin_L_CC", "inf"), "feature_not_finite", "row 3: imin_L_CC 'inf'"),
        (_with(frame(), 1, "imin_L_CC", "dark"), "feature_not_finite", "'dark' is not a finite number"),
        (_with(frame(), 1, "id", "p0"), "patient_twice", "row 3: patient 'p0' stands there twice"),
        (_with(_with(frame(), 0, "id", "7"), 1, "id", "7.0"), "patient_twice", "'7' .also spelled '7.0'. stands"),
        (_with(frame(), 1, "id", " "), "patient_missing", "row 3: id is empty"),
        (_with(frame(), 1, "id", np.nan), "patient_missing", "row 3: id is empty"),
        (_with(frame(), 1, "id", "nan"), "value_missing", "row 3: id 'nan' is what programs write"),
        (frame().assign(pair_id=["a", "NaN", *"b" * (len(frame()) - 2)]), "value_missing", "row 3: pair_id 'NaN'"),
        (_with(frame(), 1, "age", "-5"), "age_wrong", "row 3: age '-5' is not within 1 to 130"),
        (_with(frame(), 1, "age", "nan"), "age_wrong", "row 3: age 'nan' is not a number"),
        (_with(frame(), 1, "age", "999"), "age_wrong", "row 3: age '999'"),
        (_with(frame(), 1, "age", "old"), "age_wrong", "row 3: age 'old' is not a number"),
        (_with(frame(), 1, "R_CC_pred", "7"), "score_outside", "row 3: R_CC_pred '7' lies outside 0 to 1"),
        (frame().iloc[:0], "csv_broken", "no rows"),
    ],
)
def test_bad_tables_are_refused(table: pd.DataFrame, code: str, says: str) -> None:
    with pytest.raises(MammoError, match=says) as caught:
        patient_table(table)
    assert caught.value.code == code


def test_an_id_of_a_pair_whose_members_the_group_tells_apart() -> None:
    table = frame().assign(
        id=["p0", "p0", *frame()["id"][2:]], group=["case", "control", *["case"] * (len(frame()) - 2)]
    )
    found = patient_table(table)
    assert list(found.patients[:2]) == ["p0 case", "p0 control"]
    assert list(found.groups[:2]) == ["p0", "p0"]
    with pytest.raises(MammoError, match="'p0' stands there twice"):
        patient_table(table.assign(group="case"))


def test_a_patient_without_any_view_and_a_doubled_column(tmp_path: Path) -> None:
    given = frame().astype(object)
    given.loc[3, [name for name in given if name.endswith(("CC", "MLO", "_pred"))]] = ""
    with pytest.raises(MammoError, match="patient 'p3' has no view"):
        patient_table(given)
    text = frame().to_csv(index=False)
    (tmp_path / "twice.csv").write_text(text.replace("ccor_L_CC", "imin_L_CC", 1))
    with pytest.raises(MammoError, match="column 'imin_L_CC' twice"):
        read_patient_table(tmp_path / "twice.csv")
    with pytest.raises(MammoError, match="not there"):
        read_patient_table(tmp_path / "none.csv")


def test_images_become_patients() -> None:
    predictions = pd.DataFrame(
        {
            "image_id": ["1", "2", "3", "4", "5"],
            "patient_id": ["a", "a", "a", "b", "b"],
            "laterality": ["L", "L", "R", "L", "R"],
            "view": ["CC", "CC", "CC", "MLO", "XCCL"],
            "label": [0, 0, 1, 0, 0],
            "score": [0.1, 0.3, 0.9, 0.2, 0.99],
            "age": ["50", "50", "50", "61", "61"],
        }
    )
    features = pd.DataFrame({"image_id": ["1", "2", "3", "4", "5"], "imin": [1.0, 3.0, 5.0, 7.0, 9.0]})
    wide = assemble(predictions, features)
    table = patient_table(wide)
    assert table.patients.tolist() == ["a", "b"]
    assert table.labels.tolist() == [1, 0]
    assert table.column("L_CC_pred")[0] == pytest.approx(0.2)
    assert table.column("imin_R_CC")[0] == 5.0
    assert table.column("imin_R_MLO").tolist() == [pytest.approx((2 + 5) / 2), 7.0]
    assert table.filled == 2 + 3
    assert table.column("age").tolist() == [50.0, 61.0]
    with pytest.raises(MammoError, match="column 'imin' is in the features and in the predictions") as caught:
        assemble(predictions.assign(imin=3), features)
    assert caught.value.code == "column_twice"
    with pytest.raises(MammoError, match="nothing|no CC or MLO"):
        assemble(predictions, features.assign(image_id="x").iloc[:1])


def test_what_any_image_of_a_patient_tells_is_known() -> None:
    places = [("a", view) for view in VIEWS] + [("b", "L_CC"), ("c", "L_CC")]
    predictions = pd.DataFrame({"image_id": [str(number) for number in range(6)], "label": 0, "score": 0.5})
    predictions["patient_id"] = [patient for patient, _ in places]
    predictions["laterality"], predictions["view"] = zip(*(view.split("_") for _, view in places), strict=True)
    predictions["age"] = ["", "61", " ", "61", "", "50"]
    predictions["pair_id"] = ["", "", "q", "q", "", "q"]
    predictions["split"] = ["", "train", "train", "", "", "test"]
    wide = assemble(predictions, predictions[["image_id"]].assign(imin=1.0))
    found = patient_table(wide)
    np.testing.assert_array_equal(found.column("age"), [61, np.nan, 50])
    assert found.groups.tolist() == ["q", "b", "q"]
    assert found.splits.tolist() == ["train", "", "test"]
    unknown = patient_table(assemble(predictions.assign(age=np.nan), predictions[["image_id"]].assign(imin=1.0)))
    assert np.isnan(unknown.column("age")).all()


def test_a_table_that_does_not_fit_its_header_is_refused(tmp_path: Path) -> None:
    """pandas would take a surplus field's row for one with an index, and shift every column."""
    for text, says in (
        ("id,label,age\n1,1,50,5\n", "row 2: 4 fields, the header has 3"),
        ("id;label;age\n1;1;50,5\n", "another separator"),
    ):
        (tmp_path / "table.csv").write_text(text)
        with pytest.raises(MammoError, match=says):
            read_patient_table(tmp_path / "table.csv")


def test_ages_are_those_of_the_manifest() -> None:
    """One measure for all tables: years from 0 to 130, or as DICOM writes them; empty is unknown."""
    table = frame()
    for row, age in enumerate(("061Y", "018M", "", "128.5")):
        table = _with(table, row, "age", age)
    ages = patient_table(table).column("age")
    assert ages[[0, 1, 3]] == pytest.approx([61, 1.5, 128.5]) and np.isnan(ages[2])


def test_rows_are_counted_as_in_the_file(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    header = lines[0].split(",")
    wrong = lines[3].split(",")
    wrong[header.index("R_CC_pred")] = "7"
    (tmp_path / "b.csv").write_text(
        "\n".join([lines[0], "", lines[1], "", lines[2], ",".join(wrong), *lines[4:]]) + "\n"
    )
    with pytest.raises(MammoError, match="row 6: R_CC_pred '7'"):
        read_patient_table(tmp_path / "b.csv")
