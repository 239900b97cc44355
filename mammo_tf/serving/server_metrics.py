"""What a server counts, for Prometheus."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from mammo_tf.serving.refusals import Code, RequestError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
PREFIX = "mammo_tf_serving"
LOG = logging.getLogger("mammo_tf")


class ServerMetrics:
    """Counters of one server, and its word on faults that nobody foresaw."""

    def __init__(self, names: Callable[[], Collection[str]], say: Callable[[str], None] = lambda line: None) -> None:
        """Begins at 0.

        Args:
            names: gives the models that the server has.
            say: is told of faults.
        """
        self._names, self._say = names, say
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}_requests", "Requests", ["model_name", "api", "method", "status"], registry=self._registry
        )
        self._latency = Histogram(
            f"{PREFIX}_request_seconds", "Seconds from a parsed head to an answer", ["api", "method"],
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._rows = Histogram(
            f"{PREFIX}_batch_rows", "Pictures that were run at once", buckets=ROWS, registry=self._registry
        )

    @contextmanager
    def request(self, model: str, api: str, method: str) -> Iterator[None]:
        """Counts what the block does, by the code that it ends with.

        Args:
            model: that is asked for; of one that the server lacks the name is left out, for anyone can make one up.
            api: `REST` or `gRPC`.
            method: as `Predict`.
        """
        began, code = time.perf_counter(), Code.INTERNAL
        try:
            yield
            code = Code.OK
        except RequestError as error:
            code = error.code
            raise
        finally:
            self._requests.labels(model if model in self._names() else "", api, method, code.name).inc()
            self._latency.labels(api, method).observe(time.perf_counter() - began)

    def batch(self, rows: int) -> None:
        """Counts a batch that ran."""
        self._rows.observe(rows)

    def fault(self, request: str, error: Exception) -> None:
        """Tells of a fault that nobody foresaw; its trace goes to the log of the package."""
        self._say(f"{request} failed: {type(error).__name__}: {error}")
        LOG.error("%s failed", request, exc_info=error)

    def page(self) -> bytes:
        """Everything, as text that Prometheus reads."""
        return generate_latest(self._registry)
