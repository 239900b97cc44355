"""Splits: by patient, pairs together, strata in proportion, leakage refused."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.study import assign_splits, check_classes, check_leakage, make_manifest, with_splits_of


def _study(patients: int, paired: bool = False) -> pd.DataFrame:
    rows = []
    for patient in range(patients):
        case = patient % 2 == 0
        for view in ("CC", "MLO"):
            for laterality in ("L", "R"):
                rows.append(
                    {
                        "image_id": f"{patient}-{laterality}-{view}",
                        "patient_id": f"p{patient}",
                        "pair_id": f"pair{patient // 2}" if paired else "",
                        "label": "malignant" if case and laterality == "L" else "normal",
                        "age": 40 + patient // 2 % 30,
                        "path": f"{patient}{laterality}{view}.dcm",
                    }
                )
    return make_manifest(rows)


def test_the_cohort_of_the_thesis_splits_as_published() -> None:
    """191 matched pairs, four views: 1,064 / 152 / 312 images (thesis, section 4.1)."""
    table = assign_splits(_study(382, paired=True), (70, 10, 20), stratify=("age",), pairs=True)
    assert table["split"].value_counts().to_dict() == {"train": 1064, "validation": 152, "test": 312}
    check_leakage(table)
    assert ((table["label"] == "malignant").groupby(table["split"]).mean() == 0.25).all()


@given(
    patients=st.integers(12, 60),
    seed=st.integers(0, 5),
    shares=st.sampled_from([(60, 20, 20), (0.7, 0.1, 0.2), (1, 1, 2)]),
)
def test_no_patient_is_torn_and_counts_are_as_asked(patients: int, seed: int, shares: tuple) -> None:
    table = assign_splits(_study(patients), shares, stratify=("label",), seed=seed)
    check_leakage(table)
    counts = table.groupby("split")["patient_id"].nunique()
    assert counts["train"] == int(shares[0] / sum(shares) * patients + 1e-9)
    assert counts.sum() == patients
    cases = table[table["label"] == "malignant"].groupby("split")["patient_id"].nunique()
    assert abs(cases["train"] - counts["train"] / 2) <= 1.5


def test_the_seed_decides() -> None:
    first = assign_splits(_study(40), seed=1)
    assert first.equals(assign_splits(_study(40), seed=1))
    assert not first.equals(assign_splits(_study(40), seed=2))


def test_ages_are_spread() -> None:
    table = assign_splits(_study(240, paired=True), (70, 10, 20), stratify=("age",), pairs=True)
    means = table.groupby("split")["age"].mean()
    assert means.max() - means.min() < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fractions": (1, 2)}, "are not three shares"),
        ({"stratify": ("colour",)}, "no column 'colour'"),
        ({"pairs": True}, "no row has a pair_id"),
        ({"fractions": (98, 1, 1)}, "leave none for validation"),
    ],
)
def test_bad_requests_are_told(arguments: dict, message: str) -> None:
    with pytest.raises(MammoError, match=message):
        assign_splits(_study(12), **arguments)


def test_leakage_is_refused() -> None:
    table = assign_splits(_study(24, paired=True), pairs=True)
    torn = table.copy()
    torn.loc[0, "split"] = "test" if torn.loc[0, "split"] != "test" else "train"
    with pytest.raises(MammoError, match=r"1 patient\(s\) in more than one split, first 'p0'"):
        check_leakage(torn)
    torn = table.copy()
    other = "test" if table.loc[0, "split"] != "test" else "train"
    torn.loc[torn["patient_id"] == "p0", "split"] = other
    with pytest.raises(MammoError, match=r"1 pair\(s\) in more than one split, first 'pair0'"):
        check_leakage(torn)
    torn.loc[torn["patient_id"] == "p0", "pair_id"] = ""
    torn.loc[0, "path"] = torn.loc[4, "path"]
    with pytest.raises(MammoError, match="1LCC.dcm is in more than one split"):
        check_leakage(torn)


@pytest.mark.parametrize(
    ("column", "names", "what"),
    [
        ("patient_id", ("1", "1.0"), "patient.* first '1' .also spelled '1.0'. in test, train"),
        ("patient_id", ("a1", "A1"), "first 'a1' .also spelled 'A1'."),
        ("patient_id", ("1", "1 "), "first '1' .also spelled '1 '."),
        ("pair_id", ("p", "p "), "pair.* first 'p' .also spelled 'p '."),
        ("path", ("x.png", "./x.png"), "the file x.png"),
    ],
)
def test_spelling_hides_no_leak(column: str, names: tuple[str, str], what: str) -> None:
    rows = [
        {"image_id": str(n), "patient_id": f"w{n}", "path": f"{n}.png", "label": "normal", column: name, "split": split}
        for n, (name, split) in enumerate(zip(names, ("train", "test"), strict=True))
    ]
    with pytest.raises(MammoError, match=f"{what}.*" if column == "path" else what):
        check_leakage(make_manifest(rows))


def test_patients_who_differ_in_spelling_alone_are_split_as_one() -> None:
    table = _study(12, paired=True)
    table["patient_id"] = [name.upper() if row % 2 else name for row, name in enumerate(table["patient_id"])]
    for pairs in (False, True):
        check_leakage(assign_splits(table.assign(pair_id=table["pair_id"] if pairs else ""), (1, 1, 1), pairs=pairs))


def test_identifiers_that_were_corrected_leave_nobody_in_two_splits() -> None:
    def listed(patients: str, splits: list[str], pairs: str = "    ") -> pd.DataFrame:
        return make_manifest(
            {"image_id": f"i{n}", "patient_id": who, "pair_id": pair.strip(), "path": f"{n}.png", "split": split}
            for n, (who, pair, split) in enumerate(zip(patients, pairs, splits, strict=True))
        )

    before = listed("ABCD", ["test", "train", "validation", "test"])
    again, said = with_splits_of(listed("AACD", [""] * 4), before)
    assert again["split"].tolist() == ["train", "train", "validation", "test"]
    assert "1 had images in several and went to the first of train, validation, test" in said
    again, _ = with_splits_of(listed("ABCD", [""] * 4, "xyyx"), before)
    assert again["split"].tolist() == ["test", "train", "train", "test"]
    told, _ = with_splits_of(listed("AACD", ["test", "", "", ""]), before)
    assert told["split"].tolist() == ["test", "test", "validation", "test"]


def test_a_part_without_positives_is_told() -> None:
    table = _study(4).assign(split="train")
    check_classes(table, ("malignant",), ("train",))
    with pytest.raises(MammoError, match="no image is in split validation"):
        check_classes(table, ("malignant",))
    with pytest.raises(MammoError, match="has 16 images and no positive one"):
        check_classes(table, ("benign",), ("train",))
    with pytest.raises(MammoError, match="no negative one"):
        check_classes(table[table["label"] == "malignant"], ("malignant",), ("train",))
