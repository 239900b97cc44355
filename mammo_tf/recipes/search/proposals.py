"""Which trial comes next: keras-tuner's oracles, as a function of the log.

An oracle's state follows from its seed and the order of what it was asked and told, which the log holds. It is
therefore made anew from the log whenever a search is resumed or another process has added to it, and keras-tuner's own
files are not kept: they are not written whole, lack the state of the Bayesian oracle's generator, and run a trial that
was cut off from its beginning.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.recipes.search.settings import BAYESIAN, HYPERBAND, MOST, Search
from mammo_tf.recipes.search.space import Number, Space, Whole
from mammo_tf.recipes.search.trial_log import Begun, Ended, Event, Over, Waits

OWN = "tuner/"  # what keras-tuner calls its own values of a trial
EPOCHS, AFTER = f"{OWN}epochs", f"{OWN}trial_id"
NEVER = 10**9  # failures in a row are counted by the search


class Proposals:
    """Proposes trials, without end but for a space that is tried through and for hyperband.

    Args:
        space: what is searched.
        search: how.
        objective: name of the figure that is made large.
        epochs: of the recipe, over all its stages: how far hyperband trains its best trials.

    Raises:
        MammoError: `extra_missing` without keras-tuner.
    """

    def __init__(self, space: Space, search: Search, objective: str, epochs: int) -> None:
        tuner = keras_tuner()
        self.objective, self.asked = objective, 0
        settings: dict[str, Any] = {
            "objective": tuner.Objective(objective, "max"),
            "hyperparameters": _hyperparameters(tuner, space),
            "seed": search.seed + 1,  # keras-tuner takes 0 for none
            "allow_new_entries": False,
            "tune_new_entries": False,
            "max_consecutive_failed_trials": NEVER,
        }
        if search.method == HYPERBAND:
            made = tuner.oracles.HyperbandOracle(max_epochs=epochs, factor=search.factor, **settings)
        elif search.method == BAYESIAN:
            made = tuner.oracles.BayesianOptimizationOracle(max_trials=MOST, **settings)
        else:
            made = tuner.oracles.RandomSearchOracle(max_trials=MOST, **settings)
        self.oracle = made
        self.oracle.verbose = 0
        self._place = tempfile.TemporaryDirectory(prefix="mammo_tf_tune_")  # keras-tuner insists on writing
        self.oracle._set_project_dir(self._place.name, "search")

    def propose(self) -> Begun | Waits | Over:
        """The next trial, as an event for the log; the oracle takes it for begun."""
        trial = self._asked()
        if trial.status == "IDLE":
            return Waits()
        if trial.status != "RUNNING":
            return Over()
        values = dict(trial.hyperparameters.values)
        own = {name: values.pop(name) for name in list(values) if name.startswith(OWN)}
        epochs = own.get(EPOCHS)
        return Begun(trial.trial_id, values, epochs, str(own.get(AFTER, "")), own or None)

    def replay(self, event: Event) -> None:
        """Brings the oracle to where it was behind an event of the log.

        What the log says was proposed counts, to the digit: another processor may round a proposal otherwise.

        Raises:
            MammoError: `search_differs` where the log cannot be of this search.
        """
        if isinstance(event, Ended):
            self._told(event)
            return
        trial = self._asked()
        if not isinstance(event, Begun):
            return
        if trial.status != "RUNNING" or trial.trial_id != event.trial:
            sentence = f"the log says that trial {event.trial} was proposed, and keras-tuner proposes another"
            raise MammoError("search_differs", sentence, "Go on with the versions that search.json names")
        trial.hyperparameters.values = dict(event.labels) | dict(event.proposed or {})

    def _asked(self) -> Any:
        self.asked += 1
        with _quiet():
            return self.oracle.create_trial(f"request {self.asked}")  # a name of its own: else it gets its last trial

    def _told(self, event: Ended) -> None:
        trial = self.oracle.trials[event.trial]
        with _quiet():
            if event.score is not None:
                self.oracle.update_trial(event.trial, {self.objective: event.score})
            trial.status = "FAILED" if event.score is None else "COMPLETED"
            self.oracle.end_trial(trial)


def keras_tuner() -> Any:
    """The library.

    Raises:
        MammoError: `extra_missing`.
    """
    try:
        import keras_tuner as library
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("keras_tuner", "kt_legacy"):
            raise
        sentence = "the package keras-tuner is not installed"
        raise MammoError("extra_missing", sentence, "pip install 'mammo_tf[tune]'") from error
    return library


def _hyperparameters(tuner: Any, space: Space) -> Any:
    """The space as keras-tuner has it; fields with a condition behind those that they hang on."""
    made = tuner.HyperParameters()
    order = sorted(space.fields.items(), key=lambda item: item[1].when is not None)
    for name, dimension in order:
        when = dimension.when
        more = {} if when is None else {"parent_name": when.field, "parent_values": list(when.labels)}
        if isinstance(dimension, Number):
            scale = "log" if dimension.log else "linear"
            made.Float(name, dimension.low, dimension.high, sampling=scale, **more)
        elif isinstance(dimension, Whole):
            made.Int(name, dimension.low, dimension.high, step=dimension.step, **more)
        else:
            made.Choice(name, list(dimension.labels), **more)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """keras-tuner 1.4 uses names that Python has deprecated; its Gaussian process says when it finds little to fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
