"""Why a server does not answer: one of the codes that TensorFlow, gRPC and TensorFlow Serving share, and a sentence."""

from __future__ import annotations

from enum import IntEnum

LONGEST = 1024  # characters of a sentence, as TensorFlow Serving cuts them: they travel in the header of an answer
CUT = " ... TRUNCATED"


class Code(IntEnum):
    """Numbers of `google.rpc.Code`; those of `tensorflow.error.Code` and `grpc.StatusCode` are the same."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


# As TensorFlow Serving's model_servers/http_server.cc has them:
HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class RequestError(Exception):
    """A request that is not answered.

    Args:
        code: its kind.
        sentence: what is wrong, cut at `LONGEST` characters.
    """

    def __init__(self, code: Code, sentence: str) -> None:
        self.code = code
        self.sentence = sentence if len(sentence) <= LONGEST else sentence[: LONGEST - len(CUT)] + CUT
        super().__init__(code, self.sentence)


def wrong(sentence: str) -> RequestError:
    """A request that says something wrong (`INVALID_ARGUMENT`)."""
    return RequestError(Code.INVALID_ARGUMENT, sentence)
