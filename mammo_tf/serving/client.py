"""Asks a model server: TensorFlow Serving, or `mammo-tf serve`.

By REST no TensorFlow is loaded; by gRPC the published protos load it. What a server refuses for a while (`UNAVAILABLE`,
`RESOURCE_EXHAUSTED`, HTTP 503 and 429) is asked again, with growing pauses, until the deadline; nothing else is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.serving.refusals import Code, RequestError

PNG_SIGNATURE = "serving_default"
AGAIN = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
Tensors = Mapping[str, NDArray[Any]]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ServedModel:
    """A model on a server: of `version` and `label` one at most; none is the highest version that serves."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        which = "" if self.version is None else f" version {self.version}"
        return f"{self.name}{which}" if self.label is None else f"{self.name} labelled {self.label}"


@dataclass(frozen=True)
class ServedTensor:
    """An input or output as a server tells it: -1 where a dimension is open, None where even their number is."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether values of a shape fit."""
        own = self.shape
        return own is None or (
            len(own) == len(shape) and all(told in (-1, size) for told, size in zip(own, shape, strict=True))
        )


@dataclass(frozen=True)
class ServedSignature:
    """The inputs and outputs of a signature, by name."""

    inputs: Mapping[str, ServedTensor]
    outputs: Mapping[str, ServedTensor]


class Road(Protocol):
    """A way to a server. Raises `RequestError` with what the server says, `UNAVAILABLE` where none answers."""

    def signatures(self, model: ServedModel, timeout_s: float) -> Mapping[str, ServedSignature]:
        """What may be asked of a model."""
        ...

    def predict(
        self, model: ServedModel, name: str, signature: ServedSignature, inputs: Tensors, timeout_s: float
    ) -> Tensors:
        """The outputs of a signature."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


class Client:
    """A model on a server, asked from Python; a context manager that ends the connection.

    Example:
        with Client("http://127.0.0.1:8501", "config2") as client:
            scores = client.score_png([path.read_bytes() for path in films])["score"]
    """

    def __init__(
        self, server: str, model: str, version: int | None = None, label: str | None = None, deadline_s: float = 60.0
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            server: `http://HOST:PORT` or `https://...` for REST, `grpc://HOST:PORT` for gRPC.
            model: its name there.
            version: by default the highest that serves.
            label: of a version, in place of its number.
            deadline_s: the longest that an answer may take, further tries included.

        Raises:
            MammoError: `address_wrong`; `option_wrong` for a version and a label.
        """
        if version is not None and label is not None:
            raise MammoError("option_wrong", f"both the version {version} and the label {label} are asked for")
        self.server, self.model, self.deadline_s = server, ServedModel(model, version, label), deadline_s
        self._road = _road_to(server)
        self._signatures: Mapping[str, ServedSignature] | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def signatures(self) -> Mapping[str, ServedSignature]:
        """What may be asked of the model; asked of the server once.

        Raises:
            MammoError: as `predict`.
        """
        if self._signatures is None:
            self._signatures = self._tried(lambda left: self._road.signatures(self.model, left))
        return self._signatures

    def predict(self, inputs: Tensors, signature: str = PNG_SIGNATURE) -> Tensors:
        """The outputs of a signature.

        Args:
            inputs: by the names that the signature has; strings as bytes in arrays of objects.
            signature: its name.

        Raises:
            MammoError: `server_away`, `server_slow` beyond the deadline, `model_unknown`, `signature_unknown`,
                `inputs_wrong` for other names, types or shapes than the signature has, `server_refuses` with what the
                server says.
        """
        known = self.signatures()
        if signature not in known:
            sentence = f"{self.model} at {self.server} has no signature {signature}"
            raise MammoError("signature_unknown", sentence, f"It has {', '.join(sorted(known))}")
        told = known[signature]
        arrays = self._checked(inputs, signature, told)
        return self._tried(lambda left: self._road.predict(self.model, signature, told, arrays, left))

    def score_png(self, pictures: Sequence[bytes]) -> Tensors:
        """What `serving_default` of a bundle says of PNG files, grey, 8 or 16 bits; errors as `predict`."""
        sent = np.empty(len(pictures), object)
        sent[:] = list(pictures)
        return self.predict({"png": sent})

    def close(self) -> None:
        """Ends the connection."""
        self._road.close()

    def _checked(self, inputs: Tensors, name: str, told: ServedSignature) -> Tensors:
        if set(inputs) != set(told.inputs):
            given, taken = (", ".join(sorted(names)) or "nothing" for names in (inputs, told.inputs))
            sentence = f"the signature {name} of {self.model} takes {taken}; given are {given}"
            raise MammoError("inputs_wrong", sentence, "Is the server of another version than its client?")
        found = {}
        for key, place in told.inputs.items():
            try:
                found[key] = np.asarray(inputs[key]).astype(place.dtype, casting="same_kind", copy=False)
            except TypeError as error:
                raise MammoError("inputs_wrong", f"{self.model} takes {key} as {place.dtype}: {error}") from error
            if not place.takes(found[key].shape):
                shapes = f"of the shape {list(place.shape or ())}, not {list(found[key].shape)}"
                sentence = f"{self.model} at {self.server} takes {key} {shapes}"
                raise MammoError("inputs_wrong", sentence, "Is the server of another version than its client?")
        return found

    def _tried(self, ask: Callable[[float], Answer]) -> Answer:
        """An answer, asked again where the server says that it cannot now."""
        end = time.monotonic() + self.deadline_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return ask(max(end - time.monotonic(), 0.001))
            except RequestError as error:
                wait = pause * random.uniform(0.5, 1.0)
                if error.code not in AGAIN or time.monotonic() + wait >= end:
                    raise self._told(error) from error
                time.sleep(wait)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _told(self, error: RequestError) -> MammoError:
        match error.code:
            case Code.UNAVAILABLE:
                sentence = f"no server answers at {self.server}: {error.sentence}"
                return MammoError("server_away", sentence, "Start one with mammo-tf serve, or name another address")
            case Code.DEADLINE_EXCEEDED:
                sentence = f"{self.server} gave no answer within {self.deadline_s:g} seconds"
                return MammoError(
                    "server_slow", sentence, "Ask for fewer pictures at once, or wait longer (--deadline)"
                )
            case Code.NOT_FOUND:
                sentence = f"{self.server} does not serve {self.model}: {error.sentence}"
                return MammoError("model_unknown", sentence, "Name one of its models and versions")
            case _:
                return MammoError("server_refuses", f"{self.server} refuses: {error.sentence}")


def _road_to(server: str) -> Road:
    address = urlsplit(server)
    try:
        port = address.port
    except ValueError:
        port = None
    if address.scheme in ("http", "https") and address.hostname:
        from mammo_tf.serving.client_rest import RestRoad

        return RestRoad(server.rstrip("/"))
    if address.scheme == "grpc" and address.hostname and port:
        from mammo_tf.serving.client_grpc import GrpcRoad

        return GrpcRoad(address.netloc)
    sentence = f"{server!r} is not the address of a server"
    raise MammoError("address_wrong", sentence, "Write http://HOST:8501 for REST or grpc://HOST:8500 for gRPC")
