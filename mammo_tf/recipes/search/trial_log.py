"""The log of a search: what was asked and what came of it, a line each, on disk before anyone acts on it.

`trials.jsonl` is the one truth of a search. A line is JSON with a digest over itself and the line before, so that a
changed or lost line is told; a last line without its end was cut off by a kill, was never acted upon, and does not
count. Proposals are made anew from it (`proposals`), so nothing else has to be kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.fields import Kinds, convert, to_json
from mammo_tf.files import disk_errors, sync
from mammo_tf.json_text import parsed_json
from mammo_tf.recipes.search.space import Label

EVENTS = Kinds()
DIGEST, LETTERS = "digest", 16


@EVENTS.register
@dataclass(frozen=True)
class Begun:
    """A trial was proposed, and is run from here on.

    Attributes:
        trial: its name, a number with leading zeros.
        labels: field -> value, as `Space` has them.
        epochs: how far it is trained, of a search that says so; None for as far as its recipe goes.
        after: the trial whose training it continues; "" for none.
        proposed: further values that keras-tuner keeps with a trial.
    """

    kind: ClassVar[str] = "begun"
    trial: str
    labels: dict[str, Label]
    epochs: int | None = None
    after: str = ""
    proposed: dict[str, Label] | None = None


@EVENTS.register
@dataclass(frozen=True)
class Ended:
    """A trial came to its end.

    Attributes:
        trial: its name.
        score: the objective on validation; None of a trial that failed.
        epochs: trained, over all stages.
        seconds: of training, all sittings together.
        why: it failed; "" where it did not.
    """

    kind: ClassVar[str] = "ended"
    trial: str
    score: float | None
    epochs: int = 0
    seconds: float = 0.0
    why: str = ""


@EVENTS.register
@dataclass(frozen=True)
class Waits:
    """No trial can be proposed before another one ends."""

    kind: ClassVar[str] = "waits"


@EVENTS.register
@dataclass(frozen=True)
class Over:
    """No further trial is proposed."""

    kind: ClassVar[str] = "over"


Event = Begun | Ended | Waits | Over


class Trial(NamedTuple):
    """A trial as the log has it; `ended` is None while it runs."""

    begun: Begun
    ended: Ended | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.begun.trial

    @property
    def score(self) -> float | None:
        """The objective; None while it runs and where it failed."""
        return None if self.ended is None else self.ended.score


class TrialLog:
    """The events of a search, in order; read as far as they have been written, and added to one at a time.

    Who adds holds the search's lock and has read everything before.

    Args:
        path: of `trials.jsonl`; need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self._bytes = 0
        self._digest = ""

    def read(self) -> Sequence[Event]:
        """The events that were added since the last call, by whomever.

        Raises:
            MammoError: `log_damaged`, naming the line.
        """
        data = self.path.read_bytes() if self.path.is_file() else b""
        if len(data) < self._bytes:
            raise self._damaged(len(self.events), "it is shorter than it was")
        new: list[Event] = []
        *lines, _ = data[self._bytes :].split(b"\n")
        for line in lines:
            event = self._event(line, len(self.events) + 1)
            self.events.append(event)
            new.append(event)
            self._bytes += len(line) + 1
        return new

    def add(self, event: Event) -> None:
        """Writes an event; it is on disk when this returns.

        Raises:
            MammoError: those of `files.disk_errors`.
        """
        content = to_json(event)
        digest = _digest(self._digest, content)
        line = (json.dumps(content | {DIGEST: digest}, allow_nan=False) + "\n").encode()
        new = not self.path.exists()
        with disk_errors(self.path), self.path.open("ab") as stream:
            stream.truncate(self._bytes)  # of a line that a kill cut off
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
            if new:
                sync(self.path.parent)
        self.events.append(event)
        self._bytes += len(line)
        self._digest = digest

    @property
    def trials(self) -> dict[str, Trial]:
        """All trials by name, in the order in which they began."""
        found: dict[str, Trial] = {}
        for event in self.events:
            if isinstance(event, Begun):
                found[event.trial] = Trial(event, None)
            elif isinstance(event, Ended):
                found[event.trial] = Trial(found[event.trial].begun, event)
        return found

    @property
    def running(self) -> list[Begun]:
        """Trials that began and did not end."""
        return [trial.begun for trial in self.trials.values() if trial.ended is None]

    def _event(self, line: bytes, number: int) -> Event:
        try:
            content = parsed_json(line.decode())
            digest = content.pop(DIGEST)
            event: Event = convert(Annotated[Event, EVENTS], content, "")
        except (ValueError, AttributeError, KeyError, TypeError, MammoError) as error:
            raise self._damaged(number, "it cannot be read") from error
        if digest != _digest(self._digest, content):
            raise self._damaged(number, "it was changed, or the line before it was")
        if isinstance(event, Ended) and event.trial not in self.trials:
            raise self._damaged(number, f"trial {event.trial} ends and never began")
        self._digest = digest
        return event

    def _damaged(self, number: int, why: str) -> MammoError:
        remedy = "Remove that line and all behind it: what they say is found again or run again"
        return MammoError("log_damaged", f"{self.path}, line {number}: {why}", remedy)


def _digest(before: str, content: Any) -> str:
    text = before + json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LETTERS]
