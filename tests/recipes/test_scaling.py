"""Rates that go with batches: by the two published rules, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.models import End2End
from mammo_tf.recipes import Phase, Recipe, Training
from mammo_tf.recipes.scaling import RULES, with_batches_of
from mammo_tf.training import CyclicRate, Stage

STAGES = (
    Stage("one", ("all",), 1e-3, 3, warm_up=5),
    Stage("two", ("all",), 1e-4, 3, rate_patience=0, schedule=CyclicRate(highest=4e-4, half_cycle=10)),
)
RECIPE = Recipe(
    "any",
    "two phases",
    (Phase(STAGES[:1], batch_size=6), Phase(STAGES[1:])),
    End2End(),
    training=Training(batch_size=8),
)


@pytest.mark.parametrize(("rule", "factor"), [("linear", 4.0), ("square_root", 2.0)])
def test_four_devices(rule: str, factor: float) -> None:
    found = with_batches_of(RECIPE, 4, rule)
    assert (found.training.batch_size, [phase.batch_size for phase in found.phases]) == (32, [24, None])
    one, two = (phase.stages[0] for phase in found.phases)
    assert (one.rate, two.rate) == (pytest.approx(1e-3 * factor), pytest.approx(1e-4 * factor))
    assert two.schedule is not None
    assert two.schedule.highest == pytest.approx(4e-4 * factor)
    assert replace(one, rate=1e-3) == STAGES[0]
    assert replace(two, rate=1e-4, schedule=STAGES[1].schedule) == STAGES[1]


@given(rule=st.sampled_from(sorted(RULES)), first=st.integers(1, 8), second=st.integers(1, 8))
def test_growing_twice_is_growing_once(rule: str, first: int, second: int) -> None:
    twice = with_batches_of(with_batches_of(RECIPE, first, rule), second, rule)
    once = with_batches_of(RECIPE, first * second, rule)
    assert twice.training == once.training
    for one, other in zip(twice.phases, once.phases, strict=True):
        assert one.stages[0].rate == pytest.approx(other.stages[0].rate, rel=1e-12)
    assert with_batches_of(RECIPE, 1, rule) == RECIPE


def test_another_rule_is_told() -> None:
    with pytest.raises(MammoError, match="there is no scaling 'cubic'"):
        with_batches_of(RECIPE, 2, "cubic")
