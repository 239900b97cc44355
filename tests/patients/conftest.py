"""A small study of patients in pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mammo_tf.patients.table import SCORES, PatientTable


def _study(patients: int = 90, seed: int = 0, columns: int = 12) -> PatientTable:
    generator = np.random.default_rng(seed)
    labels = np.arange(patients) % 2
    values = generator.normal(size=(patients, 5 + columns)) * generator.lognormal(0, 3, 5 + columns)
    values[:, :8] += labels[:, None] * values[:, :8].std(axis=0) * 0.5
    names = ("age", *SCORES, *(f"f{number}_L_CC" for number in range(columns)))
    people = np.array([f"p{number}" for number in range(patients)])
    pairs = np.array([f"q{number // 2}" for number in range(patients)])
    return PatientTable(
        names, values, labels, people, pairs, pairs, np.full(patients, "train"), 0, np.full(values.shape, True)
    )


@pytest.fixture
def study() -> Callable[..., PatientTable]:
    """Makes the study of a seed."""
    return _study
