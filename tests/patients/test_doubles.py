"""One woman in two splits is found by her numbers, whatever she is called and however they were rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.patients.doubles import check_patients_once
from mammo_tf.patients.table import PatientTable

Study = Callable[..., PatientTable]


def two_splits(table: PatientTable) -> PatientTable:
    return replace(table, splits=np.repeat(["train", "test"], [60, 30]))


def copied(table: PatientTable, change: Callable[[np.ndarray], np.ndarray]) -> PatientTable:
    """Patient 3 of train once more in test, under another name, her numbers changed."""
    values = table.values.copy()
    values[70] = change(values[3].copy())
    return replace(table, values=values)


def one_rounded(row: np.ndarray) -> np.ndarray:
    row[5] = np.round(row[5])
    return row


@pytest.mark.parametrize(
    "change",
    [one_rounded, lambda row: row, lambda row: np.array([float(f"{value:.3g}") for value in row])],
    ids=["one rounded", "as it is", "all rounded"],
)
@pytest.mark.parametrize("columns", [4, 40])
def test_her_numbers_tell(study: Study, change: Callable[[np.ndarray], np.ndarray], columns: int) -> None:
    table = two_splits(study(columns=columns))
    check_patients_once(table)
    with pytest.raises(MammoError, match="patients 'p3' and 'p70' have the same numbers, and are in train and in test"):
        check_patients_once(copied(table, change))
    same_name = copied(table, change)
    same_name.patients[70] = "p3"
    with pytest.raises(MammoError, match="patient 'p3' is in train and in test"):
        check_patients_once(same_name)
    check_patients_once(replace(copied(table, change), splits=np.full(90, "train")))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.integers(3, 60), st.floats(0, 0.9))
def test_other_women_are_not_taken_for_one(seed: int, columns: int, alike: float) -> None:
    """Columns that go together, as features of one breast do, make no two women one."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(120, 1))
    values = np.sqrt(alike) * common + np.sqrt(1 - alike) * generator.normal(size=(120, columns))
    people = np.arange(120).astype(str)
    table = PatientTable(
        tuple(f"f{number}" for number in range(columns)), values, np.arange(120) % 2, people, people, people,
        np.repeat(["train", "validation", "test"], 40), 0, np.full(values.shape, True),
    )  # fmt: skip
    check_patients_once(table)


def test_she_is_found_with_views_left_out(study: Study) -> None:
    """What is filled in from her other views does not count, and neither does a view that one row lacks."""
    table = two_splits(study(columns=40))
    values, told = table.values.copy(), table.told.copy()
    values[70] = values[3]
    told[70, 10:] = False
    values[70, 10:] += 3 * table.values.std(axis=0)[10:]  # a filled view's numbers are others
    with pytest.raises(MammoError, match="'p3' and 'p70' have the same numbers"):
        check_patients_once(replace(table, values=values, told=told))
    told[70, 3:] = False  # too little is known of her
    check_patients_once(replace(table, values=values, told=told))
