"""Proposals follow from the log: cut off anywhere and made anew, keras-tuner goes on as if nothing had happened."""

from __future__ import annotations

import random
import sys

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.recipes.search import Number, OneOf, Space, When, Whole
from mammo_tf.recipes.search.proposals import Proposals
from mammo_tf.recipes.search.settings import Search
from mammo_tf.recipes.search.trial_log import Begun, Ended, Event, Over, Waits

SPACE = Space(
    {
        "decay": Number(0.0, 1.0, when=When("kind", ("b", "c"))),
        "rate": Number(1e-5, 1e-2, log=True),
        "size": Whole(1, 9, 2),
        "kind": OneOf(("a", "b", "c")),
    }
)
SEARCHES = (Search("random", 8, 3), Search("bayesian", 15, 3), Search("hyperband", 0, 3))


def made(search: Search, space: Space = SPACE) -> Proposals:
    return Proposals(space, search, "val_auc", 9)


def searched(search: Search, space: Space = SPACE, busy: int = 2) -> list[Event]:
    """The log of a search by several workers, some of whose trials fail; it ends."""
    proposals, chance = made(search, space), random.Random(1)
    log: list[Event] = []
    running: list[str] = []
    while True:
        begun = sum(isinstance(event, Begun) for event in log)
        event = Over() if search.trials and begun >= search.trials else proposals.propose()
        log += [] if search.trials and begun >= search.trials else [event]
        if isinstance(event, Begun):
            running.append(event.trial)
        elif isinstance(event, Over) and not running:
            return log
        if len(running) >= busy or not isinstance(event, Begun):
            score = None if chance.random() < 0.1 else chance.random()
            log.append(Ended(running.pop(0), score))
            proposals.replay(log[-1])


@pytest.mark.parametrize("search", SEARCHES, ids=lambda one: one.method)
def test_made_anew_from_any_part_of_the_log_it_proposes_the_same(search: Search) -> None:
    log = searched(search)
    for cut in range(4, len(log), 17):
        proposals = made(search)
        for event in log[:cut]:
            proposals.replay(event)
        for event in log[cut:]:
            if isinstance(event, Ended):
                proposals.replay(event)
            else:
                assert proposals.propose() == event


@pytest.mark.parametrize("search", SEARCHES, ids=lambda one: one.method)
def test_proposals_lie_in_the_space_and_end(search: Search) -> None:
    trials = [event for event in searched(search) if isinstance(event, Begun)]
    assert len(trials) == search.trials or search.method == "hyperband"
    for one in trials:
        assert 1e-5 <= one.labels["rate"] <= 1e-2
        assert one.labels["size"] in (1, 3, 5, 7, 9)
        assert ("decay" in one.labels) == (one.labels["kind"] in ("b", "c"))
    assert len({one.labels["rate"] for one in trials if not one.after}) == sum(not one.after for one in trials)


def test_hyperband_trains_the_best_on_from_where_they_were() -> None:
    log = searched(SEARCHES[2], busy=1)
    trials = {event.trial: event for event in log if isinstance(event, Begun)}
    scores = {event.trial: event.score for event in log if isinstance(event, Ended)}
    assert {one.epochs for one in trials.values()} == {1, 3, 9}
    on = [one for one in trials.values() if one.after]
    assert on
    for one in on:
        before = trials[one.after]
        assert before.labels == one.labels
        assert before.epochs is not None and one.epochs == 3 * before.epochs
        peers = [name for name, other in trials.items() if other.epochs == before.epochs and not other.after]
        assert one.after not in peers or scores[one.after] >= sorted(scores[name] or 0 for name in peers)[-len(on)]


def test_a_small_space_ends_when_it_is_tried_through() -> None:
    space = Space({"kind": OneOf(("a", "b", "c"))})
    trials = [event for event in searched(Search("random", 20), space) if isinstance(event, Begun)]
    assert sorted(str(one.labels["kind"]) for one in trials) == ["a", "b", "c"]


def test_a_trial_that_no_longer_waits_is_proposed() -> None:
    """Hyperband cannot go on while the trials run whose best it would train on."""
    space = Space({"kind": OneOf(("a", "b"))})
    proposals = made(Search("hyperband", 0), space)
    events = [proposals.propose() for _ in range(3)]
    assert [type(event) for event in events] == [Begun, Begun, Waits]


def test_the_log_counts_and_one_of_another_search_is_told() -> None:
    proposals = made(SEARCHES[0])
    changed = Begun("0000", {"rate": 2e-3, "size": 1, "kind": "a"})
    proposals.replay(changed)
    proposals.replay(Ended("0000", 0.5))
    assert proposals.oracle.trials["0000"].hyperparameters.values == changed.labels
    with pytest.raises(MammoError, match="trial 7 was proposed"):
        proposals.replay(Begun("7", {"rate": 2e-3}))


def test_without_keras_tuner_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    with pytest.raises(MammoError, match=r"pip install 'mammo_tf\[tune\]'"):
        made(SEARCHES[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [(("grid", 3), "one of random"), (("random", 0), "1 to 9999 trials"), (("hyperband", 5), "by its epochs"),
     (("random", 1, -1), "0 or more"), (("hyperband", 0, 0, 1), "2 or more")],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused(settings: tuple, words: str) -> None:
    with pytest.raises(MammoError, match=words):
        Search(*settings)
