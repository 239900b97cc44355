"""The steps of an experiment: each is told in a line, done once, and timed.

An experiment claims its folder (`claims.claim`) and then goes through its steps in order, every time that it is run:

    with claim(folder, DEMO, asked):
        steps = Steps(folder, say, total=2)
        study = steps.resumed("a synthetic study", lambda: make_study(folder / "study", ...))
        steps.once("a model", run_ended(folder / "model"), lambda: run(..., folder / "model"))
        steps.once("the report", (folder / "report.html").is_file(), lambda: write_report(...))

A step that is finished is found by what it writes last (`run_ended` and `records_whole` know it), or continues by
itself, as studies, records and runs do. So an experiment that was stopped continues where it was, and one that is
finished answers from what lies there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.recipes.proof import PROOF
from mammo_tf.records.index import INDEX

Result = TypeVar("Result")
Say = Callable[[str], None]
SECONDS = "seconds.json"


def run_ended(folder: Path) -> bool:
    """Whether a run has left all that it leaves: metrics and model come before the proof."""
    return (folder / PROOF).is_file()


def records_whole(folder: Path) -> bool:
    """Whether `prepare` has ended: its index is there from the beginning. It mends a damaged one by itself."""
    try:
        return read_json(folder / INDEX).get("complete") is True
    except (MammoError, AttributeError):
        return False


class Steps:
    """The steps of one experiment, or of one of its seeds.

    Args:
        folder: keeps `seconds.json`: name of a step -> seconds that it took, over all calls.
        say: is told in a line what happens.
        total: number of all steps, told as `1/7  ...` before each, finished or not; None tells only of those that are
            done now, without numbers.
    """

    def __init__(self, folder: Path, say: Say, total: int | None = None) -> None:
        self.folder, self.say, self.total = folder, say, total
        self._number = 0

    def once(self, name: str, done: bool, work: Callable[[], Any]) -> None:
        """Does a step unless what it leaves last is there.

        Args:
            name: of the step, a line.
            done: whether what it writes last is there; a file that is there earlier says nothing.
            work: does it.
        """
        if self.total is not None or not done:
            self._tell(name)
        if not done:
            self._timed(name, work)

    def resumed(self, name: str, work: Callable[[], Result]) -> Result:
        """Does a step whose work finds by itself what is finished, and gives what it gives.

        Args:
            name: of the step, a line.
            work: does it, or reads what it left.
        """
        self._tell(name)
        return self._timed(name, work)

    def _tell(self, name: str) -> None:
        self._number += 1
        self.say(name if self.total is None else f"{self._number}/{self.total}  {name}")

    def _timed(self, name: str, work: Callable[[], Result]) -> Result:
        begun = time.monotonic()
        found = work()
        path = self.folder / SECONDS
        known = read_json(path) if path.is_file() else {}
        write_json(path, known | {name: round(known.get(name, 0.0) + time.monotonic() - begun, 1)})
        return found
