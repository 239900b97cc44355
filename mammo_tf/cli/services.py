"""Commands that answer others, and ask them: `serve`, `client`."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mammo_tf.cli.serving import print_report
from mammo_tf.cli.shared import Commands, printable, tensorflow_loaded, version_number, whole_number
from mammo_tf.errors import MammoError

LARGEST_PORT = 65535
PACKAGES = ("grpc", "grpc_health", "starlette", "uvicorn", "prometheus_client", "tensorflow_serving", "httpx")


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _serve_options(commands.add("serve", "a model server with TensorFlow Serving's contract", serve))
    _client_options(commands.add("client", "scores of files, a folder or a manifest, by a model server", client))


@contextmanager
def serving_extra() -> Iterator[None]:
    """Imports in the block that need the extra `serving`; without it one line says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        sentence = f"the package {package} is not installed"
        raise MammoError("extra_missing", sentence, "pip install 'mammo_tf[serving]'") from error


def port_number(text: str) -> int:
    """A port, 0 for any free one; argparse turns the error into one line."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {LARGEST_PORT}")
    return number


def seconds(text: str) -> float:
    """A time above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def milliseconds(text: str) -> float:
    """A time from 0 on."""
    return 0.0 if text.strip() in ("0", "0.0") else seconds(text)


def _serve_options(one: ArgumentParser) -> None:
    one.add_argument("folders", nargs="*", metavar="MODEL|FOLDER", help="exported models, or a folder of them")
    one.add_argument("--name", metavar="N", help="name of the model (default: that of its folder)")
    one.add_argument("--models-config", metavar="FILE", help="models, versions and labels, as deploy/models.config")
    one.add_argument("--models-root", metavar="DIR", help="what /models is in that file (default: /models)")
    one.add_argument("--batching-config", metavar="FILE", help="batches, as deploy/batching.config")
    one.add_argument("--monitoring-config", metavar="FILE", help="metrics, as deploy/monitoring.config")
    one.add_argument("--host", default="127.0.0.1", metavar="H", help="where to listen (default 127.0.0.1)")
    one.add_argument("--rest-port", type=port_number, default=8501, metavar="N", help="default 8501; 0: any free one")
    one.add_argument("--grpc-port", type=port_number, default=8500, metavar="N", help="default 8500; 0: any free one")
    one.add_argument("--max-batch", type=whole_number, metavar="N", help="pictures that a network sees at once")
    one.add_argument("--batch-timeout-ms", type=milliseconds, metavar="N", help="how long a batch waits for calls")
    one.add_argument("--max-request-mb", type=whole_number, default=256, metavar="N", help="of a request (default 256)")
    one.add_argument(
        "--max-pixels",
        type=whole_number,
        default=100_000_000,
        metavar="N",
        help="of a PNG picture (default 100 million)",
    )
    one.add_argument(
        "--poll-seconds", type=seconds, default=2.0, metavar="N", help="between looks for new versions (default 2)"
    )


def serve(options: Namespace) -> None:
    """Serves models until it is told to end."""
    with tensorflow_loaded(), serving_extra():
        from mammo_tf.serving.server import ModelServer

    say = partial(_say, stream=sys.stderr)
    with _termination() as over, ModelServer(_settings(options), say) as server:
        print(
            f"REST at http://{options.host}:{server.rest_port}, gRPC at {options.host}:{server.grpc_port}", flush=True
        )
        over.wait()


def _settings(options: Namespace) -> Any:
    from mammo_tf.serving.server import ServerSettings
    from mammo_tf.serving.server_config import (
        METRICS_PATH,
        models_in,
        read_batching_config,
        read_models_config,
        read_monitoring_config,
    )

    if bool(options.folders) == bool(options.models_config):
        told = "both folders and --models-config" if options.folders else "neither a model nor --models-config"
        raise MammoError(
            "option_wrong", f"{told} are given", "Name exported models, or a file like deploy/models.config"
        )
    if options.models_root and not options.models_config:
        raise MammoError("option_wrong", "--models-root belongs to --models-config", "Leave it out")
    if options.name and options.models_config:
        raise MammoError("option_wrong", "--name is given, and --models-config names the models", "Leave it out")
    config = Path(options.models_config) if options.models_config else None
    root = Path(options.models_root) if options.models_root else None
    settings = ServerSettings(
        models=models_in(options.folders, options.name) if config is None else read_models_config(config, root),
        models_config=config, models_root=root,
        metrics_path=read_monitoring_config(options.monitoring_config) if options.monitoring_config else METRICS_PATH,
        host=options.host, rest_port=options.rest_port, grpc_port=options.grpc_port,
        max_request_bytes=options.max_request_mb * 2**20, max_pixels=options.max_pixels, poll_s=options.poll_seconds,
    )  # fmt: skip
    batching = read_batching_config(options.batching_config) if options.batching_config else settings.batching
    if options.max_batch is not None:
        batching = replace(batching, largest=options.max_batch)
    if options.batch_timeout_ms is not None:
        batching = replace(batching, timeout_s=options.batch_timeout_ms / 1000)
    return replace(settings, batching=batching)


def _client_options(one: ArgumentParser) -> None:
    one.add_argument("server", metavar="SERVER", help="http://HOST:8501 (REST) or grpc://HOST:8500")
    one.add_argument("inputs", nargs="+", metavar="FILES|FOLDER|MANIFEST", help="pictures to score")
    one.add_argument(
        "-o", "--output", required=True, metavar="FILE.csv", help="predictions; FILE_rejects.csv lies next to it"
    )
    one.add_argument("--model", metavar="NAME", help="model on the server (default: the name of --bundle)")
    one.add_argument("--version", type=version_number, metavar="N", help="its version (default: the highest)")
    one.add_argument("--label", metavar="L", help="label of its version, as stable")
    one.add_argument("--bundle", metavar="BUNDLE", help="the same model here (default: what the server tells of it)")
    one.add_argument("--encoded", action="store_true", help="send PNG files, which the server prepares")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument(
        "--batch-size", type=whole_number, default=4, metavar="N", help="pictures of an exam at once (default 4)"
    )
    one.add_argument(
        "--deadline",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds for an answer, with further tries (default 60)",
    )


def client(options: Namespace) -> None:
    """Scores pictures by a server."""
    with tensorflow_loaded(), serving_extra():
        from mammo_tf.serving.client import Client
        from mammo_tf.serving.predict import predict
        from mammo_tf.serving.remote_scorer import remote_scorer

    if options.root and not options.inputs[0].lower().endswith(".csv"):
        raise MammoError("option_wrong", "--root belongs to a manifest, and none was named", "Leave --root out")
    if not options.model and not options.bundle:
        raise MammoError("option_wrong", "neither --model nor --bundle is given", "Name the model on the server")
    name = options.model or _name_of(Path(options.bundle))
    with serving_extra(), Client(options.server, name, options.version, options.label, options.deadline) as asked:
        report = predict(
            remote_scorer(asked, options.bundle, options.encoded), options.inputs, options.output,
            batch_size=options.batch_size, by_exam=True, root=options.root,
        )  # fmt: skip
    print_report(report)


def _name_of(bundle: Path) -> str:
    """The name by which a bundle is served: that of its folder, without the version."""
    bundle = bundle.resolve()
    return bundle.parent.name if bundle.name.isdigit() else bundle.stem if bundle.is_file() else bundle.name


@contextmanager
def _termination() -> Iterator[threading.Event]:
    """An event that SIGTERM sets; Ctrl-C raises as ever."""
    over = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield over
        return
    before = signal.signal(signal.SIGTERM, lambda *_: over.set())
    try:
        yield over
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str, stream: Any) -> None:
    print(printable(f"mammo-tf: {line}"), file=stream, flush=True)
