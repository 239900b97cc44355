"""The classical tests of two samples against SciPy's, over tables and samples of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammo_tf.evaluation.roc import average_ranks
from mammo_tf.evaluation.two_samples import chi_squared, fisher_exact, mann_whitney

COUNT = st.integers(0, 60)


@given(st.tuples(COUNT, COUNT, COUNT, COUNT))
@settings(max_examples=150, deadline=None)
def test_fisher_of_small_tables(cells: tuple[int, ...]) -> None:
    table = np.reshape(cells, (2, 2))
    assert fisher_exact(table) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    "table", [[[1250, 23750], [1150, 23850]], [[168, 3053], [145, 4007]], [[3, 99997], [40, 5000]], [[1, 0], [0, 1]]]
)
def test_fisher_of_screening_sites(table: list[list[int]]) -> None:
    assert fisher_exact(table) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-8)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 5), (30, 40), (300, 20)])
@pytest.mark.parametrize("values", [3, 35, 10**6])
def test_mann_and_whitney(sizes: tuple[int, int], values: int) -> None:
    generator = np.random.default_rng(values)
    for shift in (0, 1, values // 5):
        first, second = generator.integers(values, size=sizes[0]), generator.integers(values, size=sizes[1]) + shift
        if np.ptp(np.concatenate([first, second])) > 0:
            wanted = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
            assert mann_whitney(first, second) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_chi_squared(columns: int) -> None:
    generator = np.random.default_rng(columns)
    for most in (5, 50, 5000):
        table = generator.integers(1, most, (2, columns))
        assert chi_squared(table) == pytest.approx(stats.chi2_contingency(table).pvalue, rel=1e-12)


@given(st.lists(st.integers(-3, 3) | st.floats(-1e6, 1e6), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_average_ranks(values: list[float]) -> None:
    given_values = np.array(values, np.float64)
    np.testing.assert_array_equal(average_ranks(given_values), stats.rankdata(given_values))
