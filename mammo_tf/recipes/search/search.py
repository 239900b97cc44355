"""The search: every process that is given the same command takes trials until all are done.

No process is the chief. The log in the search's folder says what was proposed and what came of it; who wants a trial
locks the folder, reads the log, and takes a trial that nobody works at (its process died) or asks for a new one. A
trial's folder is locked while it is trained, by a lock that the operating system releases with the process. So any of
them may be killed, and any started again, at any time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import mammo_tf
from mammo_tf.claims import LOCK, Kind, claim, locked
from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import disk_errors
from mammo_tf.recipes.inputs import open_data
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import begun_with
from mammo_tf.recipes.search.objective import objective_of
from mammo_tf.recipes.search.proposals import Proposals, keras_tuner
from mammo_tf.recipes.search.settings import HYPERBAND, Search
from mammo_tf.recipes.search.space import Space
from mammo_tf.recipes.search.trial_log import Begun, Ended, Over, Trial, TrialLog, Waits
from mammo_tf.recipes.search.trials import CHECKPOINTS, TRIALS, Ground, run_trial, shortened
from mammo_tf.training.cluster import in_cluster

Say = Callable[[str], None]
LOG, DATA_LOCK = "trials.jsonl", ".data.lock"
POLL_SECONDS, LONGEST_SECONDS, DAY = 0.5, 600.0, 86_400.0
IN_A_ROW = 3  # failures that end a search
PACKAGES = ("keras-tuner", "keras", "tensorflow")
SEARCH = Kind(
    "search.json", "search", "another search", "other_search",
    "Name another folder with -o; to help with a search, give its own command", beside=(DATA_LOCK, "prepared", TRIALS),
)  # fmt: skip


def search_trials(
    recipe: Recipe,
    space: Space,
    search: Search,
    folder: str | Path,
    data: str | Path,
    start: str | Path | None = None,
    workers: int = 1,
    say: Say = lambda line: None,
    root: str | Path | None = None,
) -> tuple[Ground, list[Trial]]:
    """Runs trials of a recipe until there are none left; called again in the same folder it goes on where it stopped.

    Leaves `search.json trials.jsonl trials/<name>/` in the folder. Several processes may search in one folder.

    Args:
        recipe: what is searched.
        space, search: its fields, and how they are gone through.
        folder: of the search, shared by all processes; its file system has locks.
        data, start, workers, root: as for `runner.run`.
        say: is told in a line what happens.

    Returns:
        What the trials shared, and all trials in the order in which they began.

    Raises:
        MammoError: `extra_missing`, `space_wrong`, `search_wrong`, `other_search` for a process with another recipe,
            space, data or version, `log_damaged`, `search_differs`, `search_failed` when trials fail one after
            another; and what `runner.train` raises.
    """
    keras_tuner()
    if in_cluster():
        sentence = "machines share a search by its folder, each with trials of its own, and this is one of a cluster"
        raise MammoError("search_wrong", sentence, "Unset TF_CONFIG, and give the same command on each machine")
    objective = objective_of(space, recipe.task)
    space.check(recipe)
    if search.method == HYPERBAND:
        shortened(recipe, 1)
        _check_epochs(space)
    folder = Path(folder)
    origin, asked = begun_with(recipe, data, start)
    wanted = {
        "recipe": recipe.to_json(), "space": to_json(space), "search": to_json(search), "asked": asked,
        "versions": versions(),
    }  # fmt: skip
    del wanted["search"]["trials"]  # which may be raised
    _waiting(lambda: _claimed(folder, wanted), LONGEST_SECONDS)
    with waited(folder):
        if not (folder / LOCK).exists():
            say(f"the file system of {folder} has no locks: one process at a time may search there")
    with waited(folder, folder / DATA_LOCK, DAY):
        records, _ = open_data(data, folder, origin, recipe, workers, say, root)
    ground = Ground(recipe, space, objective, records, start or recipe.start, folder)
    epochs = sum(stage.epochs for stage in recipe.stages)
    worker = _Worker(ground, search, Proposals(space, search, objective.name, epochs), say)
    worker.work()
    return ground, list(worker.log.trials.values())


def versions() -> dict[str, str]:
    """What a trial hangs on next to its recipe."""
    return {"mammo_tf": mammo_tf.__version__} | {name: metadata.version(name) for name in PACKAGES}


def best_of(trials: list[Trial]) -> Trial | None:
    """The trial of the highest score, the first among equals; None where all failed."""
    scored = [trial for trial in trials if trial.score is not None]
    return max(scored, key=lambda trial: trial.score or 0.0, default=None)


@contextmanager
def waited(folder: Path, lock: Path | None = None, seconds: float = LONGEST_SECONDS) -> Iterator[None]:
    """Holds a lock of the search, waiting for who has it.

    Raises:
        MammoError: `folder_busy` after so many seconds.
    """
    path = lock or folder / LOCK
    with ExitStack() as held:
        _waiting(lambda: held.enter_context(locked(path, folder)), seconds)
        yield


def _waiting(attempt: Callable[[], Any], seconds: float) -> None:
    """Tries until the lock that it takes is free."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
            return
        except MammoError as error:
            if error.code != "folder_busy" or time.monotonic() > deadline:
                raise
        time.sleep(POLL_SECONDS / 5)


def _claimed(folder: Path, wanted: dict[str, Any]) -> None:
    """Makes the folder this search's, or finds that it is."""
    with claim(folder, SEARCH, wanted):
        pass


def _check_epochs(space: Space) -> None:
    for name in space.fields:
        if name.endswith(".epochs"):
            sentence = f"hyperband says how many epochs a trial has, and {name} is searched"
            raise MammoError("search_wrong", sentence, "Leave it out, or search by --method random or bayesian")


class _Worker:
    """One process of a search."""

    def __init__(self, ground: Ground, search: Search, proposals: Proposals, say: Say) -> None:
        self.ground, self.search, self.proposals, self.say = ground, search, proposals, say
        self.log = TrialLog(ground.folder / LOG)
        self.told_waiting, self.told = False, set[str]()

    def work(self) -> None:
        """Takes trials until all are done."""
        while True:
            with ExitStack() as held:
                taken = self._taken(held)
                if taken is not None:
                    self._run(taken)
                    continue
            if not self.log.running:
                break
            if not self.told_waiting:
                self.say(f"waits for {', '.join(one.trial for one in self.log.running)}, which others work at")
            self.told_waiting = True
            time.sleep(POLL_SECONDS)
        with waited(self.ground.folder):
            self._read()
            self._prune()

    def _taken(self, held: ExitStack) -> Begun | None:
        """A trial whose folder is locked for this process; None where none is to be had now."""
        with waited(self.ground.folder):
            self._read()
            for begun in self.log.running:
                if self._lock(begun, held):
                    self.say(f"trial {begun.trial} goes on")
                    return begun
            if self._is_over() or self._waits():
                return None
            self._check_failures()
            event = self.proposals.propose()
            self.log.add(event)
            if not isinstance(event, Begun):
                return None
            self._lock(event, held)
            values = ", ".join(f"{name}={_short(value)}" for name, value in event.labels.items())
            far = "" if event.epochs is None else f", to epoch {event.epochs}"
            on = f", from trial {event.after}" if event.after else ""
            self.say(f"trial {event.trial}: {values}{far}{on}")
            return event

    def _is_over(self) -> bool:
        """Whether no further trial is asked for."""
        enough = self.search.method != HYPERBAND and len(self.log.trials) >= self.search.trials
        return enough or any(isinstance(event, Over) for event in self.log.events)

    def _waits(self) -> bool:
        """Whether nothing has happened since no trial could be proposed."""
        return bool(self.log.events) and isinstance(self.log.events[-1], Waits) and bool(self.log.running)

    def _read(self) -> None:
        for event in self.log.read():
            self.proposals.replay(event)

    def _lock(self, begun: Begun, held: ExitStack) -> bool:
        """Whether the trial's folder could be locked until `held` is closed."""
        folder = self.ground.place(begun.trial)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            held.enter_context(locked(folder / LOCK, folder))
        except MammoError as error:
            if error.code != "folder_busy":
                raise
            return False
        return True

    def _run(self, begun: Begun) -> None:
        self.told_waiting = False
        ended = run_trial(self.ground, begun, self._say_once)
        with waited(self.ground.folder):
            self._read()
            self.log.add(ended)
            self.proposals.replay(ended)
            self._prune()
        told = f"failed: {ended.why}" if ended.score is None else f"{self.ground.objective.title} {ended.score:.3f}"
        self.say(f"trial {begun.trial}: {told}, {ended.epochs} epochs")

    def _say_once(self, line: str) -> None:
        """What every trial would say again, such as the number of pictures, is told by the first."""
        if line not in self.told:
            self.say(f"  {line}")
        self.told.add(line)

    def _check_failures(self) -> None:
        ends = [event for event in self.log.events if isinstance(event, Ended)][-IN_A_ROW:]
        if len(ends) == IN_A_ROW and all(event.score is None for event in ends):
            sentence = f"{IN_A_ROW} trials in a row failed, the last because {ends[-1].why}"
            raise MammoError("search_failed", sentence, "Narrow the space, and search into another folder")

    def _prune(self) -> None:
        """Removes checkpoints that nobody will go on from; those of the best trial stay."""
        if self.search.method == HYPERBAND and not (self._is_over() and not self.log.running):
            return
        trials = list(self.log.trials.values())
        best = best_of(trials)
        for trial in trials:
            if trial.ended is not None and (best is None or trial.name != best.name):
                shutil.rmtree(self.ground.place(trial.name) / CHECKPOINTS, ignore_errors=True)


def _short(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
