"""The chain of levels: cases are grouped by columns, each level has a named aggregate, patches and frames are cases."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, at_level, compare, compute_metrics, read_predictions, subgroup_metrics
from mammo_tf.evaluation.levels import LEVELS, aggregates_in_force, measured_levels

COLUMNS = ("image_id", "patient_id", "exam_id", "laterality", "split", "label", "score")
FEW = Resampling(20)


def table_of(*rows: tuple, columns: tuple[str, ...] = COLUMNS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


TWO_EXAMS = table_of(
    ("1", "a", "x", "L", "test", 0, 0.2), ("2", "a", "x", "L", "test", 1, 0.6), ("3", "a", "x", "R", "test", 0, 0.1),
    ("4", "a", "y", "L", "test", 0, 0.3), ("5", "a", "y", "R", "test", 0, 0.5),
    ("6", "b", "z", "R", "test", 0, 0.7),
)  # fmt: skip


def cases(table: pd.DataFrame, level: str, aggregates: dict[str, str] | None = None) -> pd.DataFrame:
    found = at_level(table, level, aggregates or {})
    assert found is not None
    return found


def test_two_patients_are_never_one_case() -> None:
    """("A 1", exam "2") and ("A", exam "1 2") read the same once they are joined by blanks."""
    table = table_of(
        ("i", "A 1", "2", "L", "test", 1, 0.9), ("j", "A", "1 2", "L", "test", 0, 0.1),
        ("k", "B", "3", "L", "test", 0, 0.4),
    )  # fmt: skip
    assert len(cases(table, "breast")) == 3
    assert set(cases(table, "patient")["patient_id"]) == {"A 1", "A", "B"}
    found = subgroup_metrics(table.assign(note=["u", "v", "v"]), "note", "breast", resampling=FEW)["test"]
    assert {value: numbers["auc"]["n"] for value, numbers in found.items()} == {"u": 1, "v": 2}


def test_an_exam_is_the_case_and_patients_are_pooled_over_exams_only_where_that_is_asked_for() -> None:
    assert [level.name for level in measured_levels(TWO_EXAMS)] == ["image", "breast", "exam"]
    one_exam = TWO_EXAMS.assign(exam_id="x")
    assert [level.name for level in measured_levels(one_exam)] == ["image", "breast", "exam", "patient"]
    assert "exam" not in [level.name for level in measured_levels(TWO_EXAMS.assign(exam_id=""))]
    partly = TWO_EXAMS.assign(exam_id=["x", "x", "x", "", "", "z"])
    assert cases(partly, "exam")["score"].tolist() == pytest.approx([0.4, 0.5, 0.7]), "no name is one exam of a patient"
    plain = compute_metrics(TWO_EXAMS, resampling=FEW)
    assert plain["test"]["exam"]["auc"]["how"].startswith("bootstrap over 2 patients")
    for how, expected in (("maximum", [0.4, 0.5, 0.7]), ("mean", [0.25, 0.4, 0.7])):
        exams = cases(TWO_EXAMS, "exam", {"exam": how})
        assert exams["score"].tolist() == pytest.approx(expected)
        assert exams["label"].tolist() == [1, 0, 0]
        metrics = compute_metrics(TWO_EXAMS, aggregates={"exam": how}, resampling=FEW, pool_exams=True)
        assert list(metrics["test"]) == ["image", "breast", "exam", "patient"]
        assert metrics.aggregates == {"breast": "mean", "exam": how, "patient": "maximum"}
        assert metrics["test"]["image"] == plain["test"]["image"]
        assert metrics["test"]["patient"]["auc"]["n"] == 2
        assert metrics["test"]["exam"]["auc"]["how"].endswith(f", {how} of the exam's breasts")
    assert at_level(TWO_EXAMS.drop(columns="exam_id"), "exam") is None
    assert aggregates_in_force(TWO_EXAMS, {"patient": "mean"})["exam"] == "mean", "as the patient, if nothing is said"
    both = compare(TWO_EXAMS, TWO_EXAMS, resampling=FEW)
    assert list(both["test"]) == ["image", "breast", "exam"]


def test_a_score_that_is_no_number_is_not_passed_over_by_a_mean() -> None:
    for wrong in (float("nan"), float("inf")):
        table = TWO_EXAMS.assign(score=[0.2, wrong, 0.1, 0.3, 0.5, 0.7])
        with pytest.raises(MammoError, match="1 of 6 scores are not finite") as caught:
            compute_metrics(table, resampling=FEW)
        assert caught.value.code == "score_not_finite"


def test_what_is_put_together_is_said_as_it_is() -> None:
    metrics = compute_metrics(TWO_EXAMS, aggregates={"breast": "noisy_or"}, resampling=FEW)
    assert metrics["test"]["breast"]["auc"]["how"].endswith(", noisy_or of a breast's views")
    sideless = compute_metrics(TWO_EXAMS.drop(columns=["laterality", "exam_id"]), resampling=FEW)
    assert sideless.aggregates == {"patient": "maximum"}
    assert sideless["test"]["patient"]["auc"]["how"].endswith(", maximum of the images")


VOLUMES = table_of(
    ("v", "a", "x", "L", "test", 1, 0.2, "0"), ("v", "a", "x", "L", "test", 1, 0.8, "1"),
    ("w", "b", "y", "R", "test", 0, 0.3, "0"), ("w", "b", "y", "R", "test", 0, 0.1, "1"),
    columns=(*COLUMNS, "frame"),
)  # fmt: skip


def test_frames_and_patches_are_levels_where_a_column_tells_them_apart() -> None:
    assert [level.name for level in measured_levels(VOLUMES)] == ["frame", "image", "breast", "exam"]
    assert cases(VOLUMES, "frame")["score"].tolist() == [0.2, 0.8, 0.3, 0.1]
    assert cases(VOLUMES, "image")["score"].tolist() == [0.8, 0.3], "an image has the maximum of its frames"
    patches = VOLUMES.rename(columns={"frame": "patch_seed"})
    assert [level.name for level in measured_levels(patches)] == ["patch", "image", "breast", "exam"]
    assert cases(patches, "image")["score"].tolist() == pytest.approx([0.5, 0.2]), "the mean of its patches"
    assert aggregates_in_force(patches, {"image": "maximum"})["image"] == "maximum"
    both = pd.concat([VOLUMES.assign(patch_seed="1"), VOLUMES.assign(patch_seed="2", score=0.0)])
    assert [level.name for level in measured_levels(both)][:3] == ["patch", "frame", "image"]
    assert cases(both, "image")["score"].tolist() == pytest.approx([0.4, 0.15])
    one_frame = VOLUMES.drop_duplicates("image_id")
    assert [level.name for level in measured_levels(one_frame)] == ["image", "breast", "exam"]


def test_volumes_and_single_pictures_may_stand_in_one_file(tmp_path: Path) -> None:
    mixed = pd.concat([VOLUMES, VOLUMES.iloc[:1].assign(image_id="u", patient_id="c", score=0.4, frame="")])
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    table = read_predictions(tmp_path / "mixed.csv")
    assert len(cases(table, "frame")) == 5
    assert cases(table, "image").set_index("image_id")["score"].to_dict() == {"v": 0.8, "w": 0.3, "u": 0.4}
    assert len(cases(table, "patient")) == 3


def test_frames_are_compared_with_the_same_frames() -> None:
    found = compare(VOLUMES, VOLUMES.assign(score=[0.9, 0.9, 0.1, 0.2]).iloc[::-1], resampling=FEW)["test"]
    assert found["frame"]["auc_difference"]["n"] == 4
    assert found["frame"]["auc_difference"]["value"] == pytest.approx(0.25)
    assert found["image"]["auc_difference"]["n"] == 2
    with pytest.raises(MammoError, match="more than one row"):
        compare(VOLUMES.drop(columns="frame"), VOLUMES, resampling=FEW)


def test_a_file_has_several_rows_of_an_image_only_where_something_tells_them_apart(tmp_path: Path) -> None:
    path = tmp_path / "volumes.csv"
    VOLUMES.to_csv(path, index=False)
    assert len(read_predictions(path)) == 4
    for wrong, says in (
        (VOLUMES.assign(frame="0"), "image_id 'v' stands there twice"),
        (VOLUMES.drop(columns="frame"), "image_id 'v' stands there twice"),
        (VOLUMES.assign(frame=["0", "", "0", "1"]), "image_id 'v' stands there twice"),
        (VOLUMES.assign(frame="0", patch_seed=["", "1", "0", "1"]), "image_id 'v' stands there twice"),
        (VOLUMES.assign(patient_id=["a", "c", "b", "b"]), "the rows of image_id 'v' differ in patient_id"),
        (VOLUMES.assign(split=["test", "train", "test", "test"]), "the rows of image_id 'v' differ in split"),
    ):
        wrong.to_csv(path, index=False)
        with pytest.raises(MammoError, match=says):
            read_predictions(path)


def test_levels_and_aggregates_are_known_by_name() -> None:
    with pytest.raises(MammoError, match="level 'woman' is unknown"):
        at_level(TWO_EXAMS, "woman")
    with pytest.raises(MammoError, match="level 'woman' is unknown"):
        compute_metrics(TWO_EXAMS, aggregates={"woman": "mean"})
    with pytest.raises(MammoError, match="'median' is unknown"):
        at_level(TWO_EXAMS, "image", {"patient": "median"})


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab "), st.sampled_from(["x", "y", "x y"]), st.sampled_from("LR"), st.booleans(),
        st.floats(0, 1, width=16),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(ROWS, st.sampled_from(["mean", "maximum", "noisy_or"]))
def test_every_level_holds_the_same_patients_and_no_case_is_lost(rows: list[tuple], how: str) -> None:
    table = table_of(
        *((str(number), f"p{who}", exam, side, "test", int(sick), float(score))
          for number, (who, exam, side, sick, score) in enumerate(rows))
    )  # fmt: skip
    aggregates = {"breast": how, "exam": how, "patient": how}
    found = {level.name: cases(table, level.name, aggregates) for level in LEVELS if not level.several}
    keys = {"image": ["image_id"], "breast": ["patient_id", "exam_id", "laterality"],
            "exam": ["patient_id", "exam_id"], "patient": ["patient_id"]}  # fmt: skip
    for name, part in found.items():
        assert len(part) == len(table[keys[name]].drop_duplicates())
        assert set(part["patient_id"]) == set(table["patient_id"])
        assert part["score"].between(table["score"].min() - 1e-9, 1).all()
        positives = set(table.loc[table["label"] == 1, "patient_id"])
        assert set(part.loc[part["label"] == 1, "patient_id"]) == positives
