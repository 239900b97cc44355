"""A bounded load on `mammo-tf serve`: good and broken requests mixed, over loopback.

    python benchmarks/serving_load.py [BUNDLE] [--road grpc] [--requests 10000] [--callers 8]

Without BUNDLE it is End2End VGG16 of 128x128 pixels and random weights at a sixteenth of its width. The server is a
process of its own. One request in ten is broken: a PNG cut short, colour, text, a picture that claims 30,000 x 30,000
pixels, an empty one. A good answer must be the score that the bundle gives when it is asked directly, a broken request
must be refused, and nothing may end. Printed are the times of good answers, and the server's resident memory after a
tenth of the requests and at the end.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np
from measuring import machine

from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.serving import Client, export_bundle, open_bundle
from mammo_tf.serving.samples import encoded
from mammo_tf.training import ModelCard, ModelFile

FILMS, SIZE, BROKEN_EVERY = 8, (320, 256), 10


def films() -> list[bytes]:
    """Half ellipses of noise, each of another brightness."""
    random = np.random.default_rng(0)
    shape = np.zeros(SIZE, np.uint8)
    cv2.ellipse(shape, (0, SIZE[0] // 2), (200, 130), 0, 0, 360, 1, -1)
    noise = [cv2.GaussianBlur(random.random(SIZE).astype(np.float32), (0, 0), 4) for _ in range(FILMS)]
    return [encoded(np.clip(one * (0.5 + number / FILMS) * shape, 0, 1)) for number, one in enumerate(noise)]


def broken(film: bytes) -> list[bytes]:
    """What must be refused."""
    header = film[12:16] + (30000).to_bytes(4, "big") * 2 + film[24:29]
    huge = film[:12] + header + zlib.crc32(header).to_bytes(4, "big") + film[33:]
    colour = bytes(cv2.imencode(".png", np.full((40, 30, 3), (0, 90, 200), np.uint8))[1].tobytes())
    return [film[: len(film) // 2], colour, b"not a picture at all", huge, b""]


def tiny(folder: Path) -> Path:
    """A bundle whose network takes next to no time, so that what lies around it is seen."""
    keras.utils.set_random_seed(1)
    card = ModelCard(preprocessing=Preprocessing.preset("legacy", (128, 128)))
    model = end2end("vgg16", "512x1", (128, 128, 3), width=1 / 16)
    return export_bundle(ModelFile(model, card), folder, "tiny").parent


def memory_mb(process: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def started(bundle: Path) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """The server and its ports."""
    command = [sys.executable, "-m", "mammo_tf", "serve", str(bundle), "--rest-port", "0", "--grpc-port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    told = ""
    while not re.search(r"grpc|gRPC", told):
        line = server.stdout.readline()
        assert line, "the server ended"
        told += line
    ports = [int(port) for port in re.findall(r":(\d+)", told)]
    return server, {"http": ports[0], "grpc": ports[1]}


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("bundle", type=Path, nargs="?")
    options.add_argument("--road", choices=("http", "grpc"), default="grpc")
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--callers", type=int, default=8)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loaded(given, given.bundle or tiny(Path(folder)))


def loaded(given: argparse.Namespace, bundle: Path) -> None:
    """The requests, and what became of them."""
    pictures = films()
    wanted = open_bundle(bundle).score_png(pictures).score
    bad = broken(pictures[0])
    name = bundle.parent.name if bundle.name.isdigit() else bundle.name
    server, ports = started(bundle)
    clients = [Client(f"{given.road}://127.0.0.1:{ports[given.road]}", name) for _ in range(given.callers)]
    wrong: list[str] = []
    memory: dict[int, float] = {}

    def ask(number: int) -> float | None:
        client = clients[number % given.callers]
        if number in (given.requests // 10, given.requests - 1):
            memory[number] = memory_mb(server.pid)
        if number % BROKEN_EVERY == 0:
            kind = number // BROKEN_EVERY % len(bad)
            try:
                client.score_png([bad[kind]])
                wrong.append(f"broken picture {kind} was scored")
            except MammoError as error:
                if error.code != "server_refuses":
                    wrong.append(f"broken picture {kind}: {error}")
            return None
        began = time.perf_counter()
        score = client.score_png([pictures[number % FILMS]])["score"][0]
        if abs(score - wanted[number % FILMS]) > 1e-5:
            wrong.append(f"request {number} has {score}, expected {wanted[number % FILMS]}")
        return time.perf_counter() - began

    try:
        began = time.perf_counter()
        with ThreadPoolExecutor(given.callers) as threads:
            times = [took for took in threads.map(ask, range(given.requests)) if took is not None]
        seconds = time.perf_counter() - began
        alive = server.poll() is None
    finally:
        server.terminate()
        server.wait(60)
    print(machine("tensorflow", "grpcio", "uvicorn"))
    p50, p95, p99 = (1000 * np.percentile(times, share) for share in (50, 95, 99))
    print(
        f"{given.requests} requests by {given.road}, {given.callers} callers, {given.requests / seconds:.0f} a second"
    )
    print(f"good answers: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    print(f"resident memory: {', '.join(f'{value:.0f} MB after {number}' for number, value in sorted(memory.items()))}")
    print(f"wrong answers: {len(wrong)}; the server {'lives' if alive else 'DIED'}, exit code {server.returncode}")
    for line in wrong[:10]:
        print(line)
    if wrong or not alive:
        sys.exit(1)


if __name__ == "__main__":
    main()
