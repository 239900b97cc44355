"""A model server with TensorFlow Serving's contract, for trying out, for tests and for small sites."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from mammo_tf.errors import MammoError
from mammo_tf.serving.batching import Batcher, BatchSettings
from mammo_tf.serving.grpc_services import ModelService, PredictionService
from mammo_tf.serving.inference import Inference
from mammo_tf.serving.model_store import ModelStore
from mammo_tf.serving.refusals import RequestError
from mammo_tf.serving.rest import RestApi
from mammo_tf.serving.server_config import METRICS_PATH, ModelSettings, read_models_config
from mammo_tf.serving.server_metrics import ServerMetrics

CALLERS = 32  # of gRPC that are served at once
LARGEST_MESSAGE = 2**31 - 1  # bytes; more gRPC cannot carry
DRAIN_S = 60  # the longest that calls in flight may take when the server ends
SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


@dataclass(frozen=True)
class ServerSettings:
    """How a server is run.

    Attributes:
        models: to serve.
        models_config, models_root: the file that told them, read again when it changes, and what `/models` is there.
        batching: of concurrent calls.
        metrics_path: where they are told; None for nowhere.
        host: name or address to listen at.
        rest_port, grpc_port: 0 for any free one.
        max_request_bytes, max_pixels: of a request, of a PNG picture in it.
        poll_s: seconds between looks for new versions.
    """

    models: tuple[ModelSettings, ...]
    models_config: Path | None = None
    models_root: Path | None = None
    batching: BatchSettings = field(default_factory=BatchSettings)
    metrics_path: str | None = METRICS_PATH
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    max_request_bytes: int = 256 * 2**20
    max_pixels: int = 100_000_000
    poll_s: float = 2.0


class ModelServer:
    """A running server; a context manager that ends it.

    Attributes:
        rest_port, grpc_port: where it listens.
    """

    def __init__(self, settings: ServerSettings, say: Callable[[str], None] = lambda line: None) -> None:
        """Loads the models and begins to listen; answers from then on.

        Raises:
            MammoError: `port_taken`; those of `ModelStore.configure`, `label_wrong`.
        """
        self._settings, self._say = settings, say
        self._store = ModelStore(say)
        self._over = threading.Event()
        self._config_seen = _content(settings.models_config)
        listening = _listening(settings.host, settings.rest_port)
        try:
            self._store.configure(settings.models)
            metrics = ServerMetrics(self._store.names, say)
            inference = Inference(Batcher(settings.batching, metrics.batch), settings.max_pixels)
            self._grpc, self._health = self._grpc_server(inference, metrics)
            self.grpc_port = _bound(self._grpc, settings.host, settings.grpc_port)
        except RequestError as error:
            self._let_go(listening)
            raise MammoError("label_wrong", error.sentence, "Change version_labels") from error
        except MammoError:
            self._let_go(listening)
            raise
        self.rest_port = listening.getsockname()[1]
        self._grpc.start()
        api = RestApi(self._store, inference, metrics, settings.metrics_path, settings.max_request_bytes)
        self._rest = uvicorn.Server(
            uvicorn.Config(
                api.application(), log_level="error", access_log=False, server_header=False, lifespan="off",
                timeout_graceful_shutdown=DRAIN_S,
            )
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._rest.run, kwargs={"sockets": [listening]}, name="rest"),
            threading.Thread(target=self._poll, name="poll", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def refresh(self) -> None:
        """Looks for new versions and a changed configuration now."""
        self._read_config_again()
        self._store.refresh()

    def stop(self) -> None:
        """Takes no further call, waits for those in flight, and lets the models go."""
        self._over.set()
        for service in SERVICES:
            self._health.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._rest.should_exit = True
        self._grpc.stop(DRAIN_S).wait()
        for thread in self._threads:
            thread.join()
        self._store.close()

    def _let_go(self, listening: socket.socket) -> None:
        listening.close()
        self._store.close()

    def _grpc_server(self, inference: Inference, metrics: ServerMetrics) -> tuple[grpc.Server, health.HealthServicer]:
        most = self._settings.max_request_bytes
        options = [
            ("grpc.max_receive_message_length", min(most, LARGEST_MESSAGE)),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a port that is taken is an error, and not shared
        ]
        server = grpc.server(ThreadPoolExecutor(CALLERS, "grpc"), options=options)
        asking = PredictionService(self._store, inference, metrics, most)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(asking, server)
        telling = ModelService(self._store, metrics)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(telling, server)
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for service in SERVICES:
            servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        return server, servicer

    def _poll(self) -> None:
        while not self._over.wait(self._settings.poll_s):
            try:
                self.refresh()
            except Exception as error:  # such as a share that is away: looked at again after a while
                self._say(f"the models cannot be looked at: {type(error).__name__}: {error}")

    def _read_config_again(self) -> None:
        """Serves what the configuration file says now; a faulty one is told once and changes nothing."""
        content = _content(self._settings.models_config)
        if content is None or content == self._config_seen:
            return
        assert self._settings.models_config is not None
        self._config_seen = content
        try:
            self._store.configure(read_models_config(self._settings.models_config, self._settings.models_root))
        except (MammoError, RequestError) as error:
            reason = error.sentence if isinstance(error, RequestError) else str(error)
            self._say(f"{self._settings.models_config} is not followed: {reason}")


def _content(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None and path.is_file() else None


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise _taken(host, port, error) from error


def _bound(server: grpc.Server, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = server.add_insecure_port(address)
    except RuntimeError as error:
        raise _taken(host, port, error) from error
    if found == 0:
        raise _taken(host, port, None)
    return int(found)


def _taken(host: str, port: int, error: Exception | None) -> MammoError:
    told = error.strerror if isinstance(error, OSError) and error.strerror else "Address already in use"
    reason = told.partition(" (while")[0]  # Python adds the address that the sentence has
    return MammoError("port_taken", f"{host}:{port} cannot be listened at: {reason}", "Choose another port or host")
