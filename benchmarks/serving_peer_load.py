"""A load on `mammo-tf serve` and on the same network in PyTorch behind the same server library, in turn.

    python benchmarks/serving_peer_load.py --peer-python VENV/bin/python [--rounds 7] [--requests 400] [--callers 8]
                                           [--size 128 128] [--width 0.0625]

The interpreter has PyTorch, Starlette and uvicorn (`peer_serving.py`); none leaves the peer out. The network is End2End
VGG16 of random weights; with the small default it takes next to no time, and what lies around it is seen. Every request
is one prepared picture as JSON, the same bytes for both, and must have the score of the bundle to 1e-4. Ours puts calls
together and checks them, and answers a heat map too; the peer runs call by call and answers the score alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import keras
import numpy as np
from measuring import machine
from serving_exam import peer_started, posted
from serving_load import started

from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.serving import export_bundle, open_bundle
from mammo_tf.training import ModelCard, load_model, save_model

PICTURES = 8


def scores(answers: list[dict[str, Any]]) -> list[float]:
    """Of answers in TensorFlow Serving's column format, of one output or of several."""
    found = [answer["outputs"] for answer in answers]
    return [float(np.ravel(one["score"] if isinstance(one, dict) else one)[0]) for one in found]


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer-python", help="interpreter that has torch; none leaves the peer out")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--requests", type=int, default=400)
    options.add_argument("--callers", type=int, default=8)
    options.add_argument("--size", type=int, nargs=2, default=(128, 128))
    options.add_argument("--width", type=float, default=1 / 16)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keras.utils.set_random_seed(1)
        size = tuple(given.size)
        card = ModelCard(preprocessing=Preprocessing.preset("legacy", size))
        save_model(folder / "model.keras", end2end("vgg16", "512x1", (*size, 3), width=given.width), card)
        bundle = export_bundle(load_model(folder / "model.keras"), folder, "load", winograd=True)
        pictures = np.random.default_rng(0).random((PICTURES, *size)).astype(np.float32)
        wanted = open_bundle(bundle).score_float(pictures).score
        server, ports = started(bundle.parent)
        running: list[subprocess.Popen[Any]] = [server]
        urls = {"ours": f"http://127.0.0.1:{ports['http']}/v1/models/load:predict"}
        try:
            if given.peer_python not in (None, "none"):
                port, peer = peer_started(given.peer_python, folder / "model.keras", folder)
                running.append(peer)
                urls["PyTorch"] = f"http://127.0.0.1:{port}/v1/models/peer:predict"
            loaded(given, urls, pictures, wanted)
        finally:
            for one in running:
                one.terminate()
                one.wait(60)


def loaded(given: argparse.Namespace, urls: dict[str, str], pictures: np.ndarray, wanted: np.ndarray) -> None:
    """The requests of every round, a side after the other, and what they took."""
    bodies = [
        json.dumps({"signature_name": "serving_float", "inputs": {"picture": one[None].tolist()}}).encode()
        for one in pictures
    ]
    clients = [httpx.Client(timeout=600) for _ in range(given.callers)]

    def ask(url: str, number: int) -> tuple[float, dict[str, Any]]:
        began = time.perf_counter()
        answer = posted(clients[number % given.callers], url, bodies[number % len(bodies)])
        return time.perf_counter() - began, answer

    rates: dict[str, list[float]] = {side: [] for side in urls}
    times: dict[str, list[float]] = {side: [] for side in urls}
    for number in range(given.rounds + 1):
        for side, url in list(urls.items())[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            with ThreadPoolExecutor(given.callers) as threads:
                answers = list(threads.map(lambda one, url=url: ask(url, one), range(given.requests)))
            seconds = time.perf_counter() - began
            right = [wanted[one % len(bodies)] for one in range(given.requests)]
            np.testing.assert_allclose(scores([answer for _, answer in answers]), right, atol=1e-4)
            if number:  # the first round warms up
                rates[side].append(given.requests / seconds)
                times[side] += [1000 * took for took, _ in answers]
    print(machine("tensorflow", "uvicorn"))
    print(
        f"{given.size[0]}x{given.size[1]}, width {given.width:g}, {given.callers} callers, {len(bodies[0])} bytes each"
    )
    for side in urls:
        p50, p95 = np.percentile(times[side], (50, 95))
        print(f"{side:8} {median(rates[side]):7.1f} a second, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms")
    if "PyTorch" not in urls:
        return
    ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["PyTorch"], strict=True)]
    print(f"requests a second, ours over PyTorch: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
