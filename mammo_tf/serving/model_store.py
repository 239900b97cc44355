"""The models of a server: which versions are there, which are asked, and how one takes over from another.

A new version is loaded while the old one answers; calls in flight finish on the version that they began with, whose
memory is freed after the last of them. A version that cannot be loaded leaves the others as they are, says so in its
status, and is tried again when its files have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.serving.refusals import Code, RequestError, wrong
from mammo_tf.serving.saved_model import SavedModel
from mammo_tf.serving.server_config import ModelSettings
from mammo_tf.serving.version_folders import fingerprint, opened, version_folders


class State(IntEnum):
    """Numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Asked:
    """Which version of which model a request is for: of two, one at most is given; none is the highest that serves."""

    model: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        return f"Latest({self.model})" if self.version is None else f"Specific({self.model}, {self.version})"


@dataclass(frozen=True)
class Held:
    """A version that stays in memory while it is asked."""

    name: str
    version: int
    model: SavedModel


@dataclass(frozen=True)
class VersionStatus:
    """How it is with a version: `error` says why it could not be loaded."""

    version: int
    state: State
    error: RequestError | None = None


@dataclass
class _Version:
    folder: Path
    seen: tuple[tuple[str, int, int], ...]
    state: State = State.LOADING
    model: SavedModel | None = None
    error: RequestError | None = None
    calls: int = 0

    def free(self) -> None:
        if self.model is not None:
            self.model.close()
        self.model, self.state = None, State.END


class ModelStore:
    """The models of a server."""

    def __init__(
        self, say: Callable[[str], None] = lambda line: None, load: Callable[[Path], SavedModel] = opened
    ) -> None:
        """Begins without a model.

        Args:
            say: is told what was loaded, what was not, and what was let go, a line each.
            load: a folder to a model.
        """
        self._say, self._load = say, load
        self._settings: dict[str, ModelSettings] = {}
        self._models: dict[str, dict[int, _Version]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}
        self._lock = threading.RLock()
        self._one_at_a_time = threading.Lock()

    def configure(self, models: Sequence[ModelSettings]) -> None:
        """Serves these models, and no others, from now on; returns when new ones are loaded.

        Raises:
            MammoError: `model_missing` for a model without a version, or why a new model's version cannot be loaded.
            RequestError: `FAILED_PRECONDITION` for a label of a version that does not serve. In both cases what was
                served still is.
        """
        with self._one_at_a_time:
            new = {one.name: one for one in models}
            before = self._settings
            self._settings = {**before, **new}
            try:
                for name in new:
                    self._update(new[name])
                    self._check_serving(new[name])
                for one in models:
                    self._check_labels(one)
            except (MammoError, RequestError):
                self._settings = before
                for name in set(new) - set(before):
                    self._drop(name)
                raise
            self._settings = new
            with self._lock:
                self._labels = {one.name: one.labels for one in models}
            for name in set(before) - set(new):
                self._drop(name)
            for name in new:
                self._retire(new[name])

    def refresh(self) -> None:
        """Looks for new versions in the folders, and loads them."""
        with self._one_at_a_time:
            for one in self._settings.values():
                self._update(one)
                self._retire(one)

    @contextmanager
    def held(self, asked: Asked) -> Iterator[Held]:
        """The version that is asked for, kept in memory for the block.

        Raises:
            RequestError: `NOT_FOUND`; `INVALID_ARGUMENT` for an unknown label or no name.
        """
        with self._lock:
            number, version = self._found(asked)
            version.calls += 1
        assert version.model is not None
        try:
            yield Held(asked.model, number, version.model)
        finally:
            with self._lock:
                version.calls -= 1
                if version.state == State.UNLOADING and version.calls == 0:
                    version.free()

    def statuses(self, asked: Asked) -> list[VersionStatus]:
        """Of the version that is asked for, or of all versions of a model.

        Raises:
            RequestError: as `held`.
        """
        with self._lock:
            known = self._models.get(asked.model, {})
            number = self._labelled(asked) if asked.label is not None else asked.version
            if number is not None and number not in known:
                raise RequestError(Code.NOT_FOUND, f"Could not find version {number} of model {asked.model}")
            if not known:
                raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {asked.model}")
            chosen = sorted(known) if number is None else [number]
            return [VersionStatus(one, known[one].state, known[one].error) for one in chosen]

    def names(self) -> list[str]:
        """Of all models."""
        return sorted(self._settings)

    def is_serving(self, name: str) -> bool:
        """Whether a version of a model answers."""
        with self._lock:
            return any(one.state == State.AVAILABLE for one in self._models.get(name, {}).values())

    def close(self) -> None:
        """Lets every model go."""
        with self._one_at_a_time:
            for name in list(self._models):
                self._drop(name)
            self._settings = {}

    def _found(self, asked: Asked) -> tuple[int, _Version]:
        if not asked.model:
            raise wrong("ModelSpec has no name specified.")
        if asked.label is not None:
            asked = Asked(asked.model, self._labelled(asked))
        known = self._models.get(asked.model, {})
        serving = {number: one for number, one in known.items() if one.state == State.AVAILABLE}
        number = max(serving, default=None) if asked.version is None else asked.version
        if number is None or number not in serving:
            raise RequestError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        return number, serving[number]

    def _labelled(self, asked: Asked) -> int:
        labels = self._labels.get(asked.model, {})
        if asked.label is None or asked.label not in labels:
            raise wrong(f"Unrecognized servable version label: {asked.label}")
        return labels[asked.label]

    def _wanted(self, settings: ModelSettings) -> dict[int, Path]:
        folders = version_folders(settings.folder)
        return {number: folders[number] for number in settings.policy.chosen(list(folders))}

    def _update(self, settings: ModelSettings) -> None:
        """Loads the versions that are to serve and do not yet, of broken ones those whose files have changed."""
        known = self._models.setdefault(settings.name, {})
        for number, folder in self._wanted(settings).items():
            version, seen = known.get(number), fingerprint(folder)
            if (
                version is None
                or version.folder != folder
                or (version.state == State.END and (version.error is None or version.seen != seen))
            ):
                self._load_version(settings.name, number, _Version(folder, seen))

    def _load_version(self, name: str, number: int, version: _Version) -> None:
        with self._lock:
            known = self._models[name]
            before = known.get(number)  # of the same number, in another folder
            serves = before is not None and before.state == State.AVAILABLE
            if not serves:
                known[number] = version
        try:
            model = self._load(version.folder)
        except Exception as error:  # whatever is wrong with a version, the others are served on
            known_fault = isinstance(error, MammoError)
            reason = str(error) if known_fault else f"{version.folder}: {type(error).__name__}: {error}"
            with self._lock:
                version.state, version.error = State.END, RequestError(Code.FAILED_PRECONDITION, reason)
            self._say(f"{name} version {number} is not served: {reason}")
            return
        with self._lock:
            version.model, version.state = model, State.AVAILABLE
            known[number] = version
        self._say(f"{name} version {number} is served, from {version.folder}")
        if before is not None and serves:
            self._let_go(name, number, before)

    def _check_serving(self, settings: ModelSettings) -> None:
        known, wanted = self._models[settings.name], self._wanted(settings)
        looked_at = [
            known[number] for number, folder in wanted.items() if number in known and known[number].folder == folder
        ]
        if any(version.state == State.AVAILABLE for version in looked_at):
            return
        error = next((version.error for version in looked_at if version.error is not None), None)
        if error is not None:
            raise MammoError("model_broken", error.sentence)
        raise MammoError(
            "model_missing", f"{settings.folder} has no version to serve of the model {settings.name}",
            "Write one with mammo-tf export, or change the version policy",
        )  # fmt: skip

    def _check_labels(self, settings: ModelSettings) -> None:
        wanted = self._wanted(settings)
        for number in settings.labels.values():
            version = self._models[settings.name].get(number)
            if number not in wanted or version is None or version.state != State.AVAILABLE:
                sentence = f"Request to assign label to version {number} of model {settings.name}, which is not "
                raise RequestError(Code.FAILED_PRECONDITION, sentence + "currently available for inference")

    def _retire(self, settings: ModelSettings) -> None:
        """Lets versions go that are to serve no longer, once all that are to serve do."""
        with self._lock:
            known = self._models.get(settings.name, {})
            wanted = self._wanted(settings)
            ready = [number for number in wanted if number in known and known[number].state == State.AVAILABLE]
            if not wanted or len(ready) < len(wanted):
                return
            for number, version in known.items():
                if number not in wanted and version.state == State.AVAILABLE:
                    self._let_go(settings.name, number, version)

    def _drop(self, name: str) -> None:
        with self._lock:
            for number, version in self._models.pop(name, {}).items():
                if version.state == State.AVAILABLE:
                    self._let_go(name, number, version)

    def _let_go(self, name: str, number: int, version: _Version) -> None:
        with self._lock:
            version.state = State.UNLOADING
            if version.calls == 0:
                version.free()
        self._say(f"{name} version {number} is served no longer")
