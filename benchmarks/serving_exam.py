"""An exam answered by a warm server, against a process that loads the model for each exam; and ONNX Runtime beside it.

    python benchmarks/serving_exam.py BUNDLE [--rounds 7] [--model FILE.keras --peer-python VENV/bin/python]

BUNDLE is a release with `serving_float`. All are asked about the same four prepared pictures; in turn, round by round.
With the model that the bundle was made of (VGG16, top 512x1) and an interpreter that has PyTorch, Starlette and
uvicorn, the same network behind the same server library (`peer_serving.py`) is asked too, with the same bytes, and must
have the same scores to 1e-4.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from measuring import machine
from serving_load import started

from mammo_tf.serving import Client, open_bundle
from mammo_tf.serving.onnx_twin import FILE, open_twin

VIEWS = 4
COLD = """
import sys
import numpy as np
from mammo_tf.serving import open_bundle
print(open_bundle(sys.argv[1]).score_float(np.load(sys.argv[2])).score.tolist())
"""


def posted(client: httpx.Client, url: str, body: bytes) -> dict[str, Any]:
    """What a server answers."""
    answer = client.post(url, content=body)
    answer.raise_for_status()
    return dict(answer.json())


def peer_started(python: str, path: Path, folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
    """Port and process of the peer, with the model's weights."""
    from mammo_tf.training import load_model

    model = load_model(path)
    assert model.preprocessing is not None
    probes = [np.asarray(model.preprocessing.intensity(np.full((1, 1), grey, np.float32))) for grey in (0.0, 1.0)]
    shift, scale = (np.broadcast_to(one.ravel(), 3).astype(np.float32) for one in (probes[0], probes[1] - probes[0]))
    arrays = {f"w{number}": array for number, array in enumerate(model.model.get_weights())}
    np.savez(folder / "weights.npz", scale=scale, shift=shift, **arrays)
    width = model.model.get_weights()[0].shape[-1] / 64
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    script = Path(__file__).parent / "peer_serving.py"
    peer = subprocess.Popen([python, str(script), str(folder / "weights.npz"), str(width), str(port)])
    for _ in range(240):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return port, peer
        assert peer.poll() is None, "the peer ended"
        time.sleep(0.5)
    raise AssertionError("the peer does not listen")


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("bundle", type=Path)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--model", type=Path)
    options.add_argument("--peer-python")
    given = options.parse_args()
    bundle = open_bundle(given.bundle)
    rows, columns = bundle.description["input_size"]
    pictures = np.random.default_rng(0).random((VIEWS, rows, columns)).astype(np.float32)
    stored = Path(tempfile.mkdtemp()) / "exam.npy"
    np.save(stored, pictures)
    twin = bundle.folder / "assets.extra" / FILE
    server, ports = started(bundle.folder)
    name = bundle.folder.parent.name
    roads = {road: Client(f"{road}://127.0.0.1:{ports[road]}", name) for road in ("grpc", "http")}
    ways: dict[str, Callable[[], object]] = {
        **{
            f"warm, {road}": lambda client=client: client.predict({"picture": pictures}, "serving_float")
            for road, client in roads.items()
        },
        "SavedModel, no server": lambda: bundle.score_float(pictures),
        "a process that loads the model": lambda: subprocess.run(
            [sys.executable, "-c", COLD, str(bundle.folder), str(stored)], check=True, capture_output=True
        ),
    }
    if twin.is_file():  # a bundle that is not a release has none
        opened = open_twin(twin)
        ways["ONNX Runtime, no server"] = lambda: opened({"picture": pictures})
    running = [server]
    if given.peer_python:
        port, peer = peer_started(given.peer_python, given.model, stored.parent)
        running.append(peer)
        body = json.dumps({"signature_name": "serving_float", "inputs": {"picture": pictures.tolist()}}).encode()
        asked = httpx.Client(timeout=600)
        answers = {}
        for title, url in (
            ("ours", f"http://127.0.0.1:{ports['http']}/v1/models/{name}:predict"),
            ("PyTorch", f"http://127.0.0.1:{port}/v1/models/peer:predict"),
        ):
            ways[f"bytes of JSON, {title} behind uvicorn"] = lambda url=url: posted(asked, url, body)
            answers[title] = posted(asked, url, body)["outputs"]["score"]
        np.testing.assert_allclose(answers["ours"], answers["PyTorch"], atol=1e-4)
    try:
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(given.rounds + 1):
            for way, ask in ways.items():
                began = time.perf_counter()
                ask()
                if number:  # the first round warms up
                    times[way].append(time.perf_counter() - began)
    finally:
        for one in running:
            one.terminate()
            one.wait(60)
        shutil.rmtree(stored.parent)
    cold = median(times["a process that loads the model"])
    print(machine("tensorflow", "onnxruntime"))
    print(f"four pictures of {rows}x{columns}, median of {given.rounds} rounds")
    print("| way | ms | cold is so many times as long |\n|---|---|---|")
    for way, took in times.items():
        print(f"| {way} | {1000 * median(took):.0f} | {cold / median(took):.1f} |")


if __name__ == "__main__":
    main()
