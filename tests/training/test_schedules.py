"""Rates that follow the steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.training import CyclicRate, Stage
from mammo_tf.training.stages import make_optimizer

LOW, HIGH = 0.1, 0.5


def rates(rate: CyclicRate, steps: int = 13) -> list[float]:
    return [round(float(rate.of(LOW)(step)), 6) for step in range(steps)]


def test_the_rate_rises_and_falls_in_lines() -> None:
    assert rates(CyclicRate(HIGH, 2)) == [0.1, 0.3, 0.5, 0.3] * 3 + [0.1]


def test_each_cycle_is_half_as_high() -> None:
    assert [rates(CyclicRate(HIGH, 2, "triangular2"))[top] for top in (2, 6, 10)] == [0.5, 0.3, 0.2]


def test_the_height_falls_by_cycles_or_steps() -> None:
    by_cycle = rates(CyclicRate(HIGH, 2, "exponential", 0.5))
    assert [by_cycle[top] for top in (2, 6, 10)] == [0.3, 0.2, 0.15]
    assert rates(CyclicRate(HIGH, 2, "exponential", 0.5, "steps"), 3) == [0.1, 0.2, 0.2]


def test_a_stage_with_a_schedule_steps_by_it() -> None:
    stage = Stage("one", ("all",), LOW, 1, optimizer="sgd", rate_patience=0, schedule=CyclicRate(HIGH, 2))
    assert from_json(Stage, to_json(stage)) == stage
    optimizer, weight = make_optimizer(stage), keras.Variable(np.zeros(1, np.float32))
    seen = []
    for _ in range(4):
        seen.append(round(float(optimizer.learning_rate), 6))
        optimizer.apply([keras.ops.ones(1)], [weight])
    assert seen == [0.1, 0.3, 0.5, 0.3]
    again = type(optimizer).from_config(optimizer.get_config())
    assert float(again.learning_rate) == pytest.approx(LOW)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"rate_patience": 2}, "rate_patience is 0 where there is a schedule"),
        ({"warm_up": 3}, "warm_up is 0 where there is a schedule"),
        ({"rate": 1.0}, "rate is at most that of the schedule's top"),
    ],
)
def test_what_would_fight_over_the_rate_is_refused(settings: dict[str, Any], rule: str) -> None:
    asked = {"rate": LOW, "rate_patience": 0, "schedule": CyclicRate(HIGH, 2), **settings}
    with pytest.raises(MammoError, match=rule):
        Stage("one", ("all",), epochs=1, **asked)


@pytest.mark.parametrize(
    "settings", [{"highest": 0.0}, {"half_cycle": 0.0}, {"height": "square"}, {"factor": 1.5}, {"counted": "days"}]
)
def test_a_schedule_that_is_none_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(MammoError, match=f"schedule: {next(iter(settings))}"):
        CyclicRate(**{"highest": HIGH, "half_cycle": 2.0, **settings})
