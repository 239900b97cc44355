"""Importance: the field that made the score comes first; noise is called noise; few trials say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.recipes.search import Number, OneOf, Space, When, importance
from mammo_tf.recipes.search.importance import EPOCHS, importances
from mammo_tf.recipes.search.trial_log import Begun, Ended, Trial

SPACE = Space(
    {
        "idle": Number(0.0, 1.0),
        "rate": Number(1e-5, 1e-1, log=True),
        "kind": OneOf(("a", "b", "c")),
        "only": Number(0.0, 1.0, when=When("kind", ("a",))),
    }
)


def trials(count: int, of_rate: float, of_kind: float, noise: float, epochs: tuple[int | None, ...] = (None,)):
    generator = np.random.default_rng(0)
    made = []
    for number in range(count):
        place, kind = generator.random(), "abc"[generator.integers(3)]
        labels = {"idle": generator.random(), "rate": 10 ** (4 * place - 5), "kind": kind}
        labels |= {"only": generator.random()} if kind == "a" else {}
        score = of_rate * place + of_kind * (kind == "b") + noise * generator.normal()
        begun = Begun(str(number), labels, epochs[number % len(epochs)])
        made.append(Trial(begun, Ended(str(number), float(score))))
    return made


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for these trials, and quicker."""
    monkeypatch.setattr(importance, "TREES", 25)


def test_the_field_that_makes_the_score_comes_first() -> None:
    found = importances(SPACE, trials(24, 1.0, 0.4, 0.02))
    assert [one.field for one in found.fields[:2]] == ["rate", "kind"]
    assert found.fields[0].low > 0.3
    assert all(abs(one.value) < 0.1 for one in found.fields[2:])
    assert found.predicted is not None and found.predicted > 0.7
    assert "24 trials say little" in found.note


def test_noise_is_called_noise_and_epochs_count_where_they_differ() -> None:
    found = importances(SPACE, trials(14, 0.0, 0.0, 1.0, (1, 3)))
    assert EPOCHS in {one.field for one in found.fields}
    assert found.predicted is not None and found.predicted <= 0
    assert "noise" in found.note


@pytest.mark.parametrize(("made", "words"), [(trials(9, 1, 0, 0), "too few"), (trials(12, 0, 0, 0), "the same score")])
def test_nothing_is_said_of_few_trials_or_of_one_score(made: list[Trial], words: str) -> None:
    found = importances(SPACE, made)
    assert not found.fields and found.predicted is None
    assert words in found.note
