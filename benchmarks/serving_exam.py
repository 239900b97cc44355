"""An exam answered by a warm server, against a process that loads the model for each exam; and ONNX Runtime beside it.

    python benchmarks/serving_exam.py BUNDLE [--rounds 7]

BUNDLE is a release with `serving_float`. All are asked about the same four prepared pictures; in turn, round by round.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

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


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("bundle", type=Path)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    bundle = open_bundle(given.bundle)
    rows, columns = bundle.description["input_size"]
    pictures = np.random.default_rng(0).random((VIEWS, rows, columns)).astype(np.float32)
    stored = Path(tempfile.mkdtemp()) / "exam.npy"
    np.save(stored, pictures)
    twin = open_twin(bundle.folder / "assets.extra" / FILE)
    server, ports = started(bundle.folder)
    name = bundle.folder.parent.name
    roads = {road: Client(f"{road}://127.0.0.1:{ports[road]}", name) for road in ("grpc", "http")}
    ways: dict[str, Callable[[], object]] = {
        **{
            f"warm, {road}": lambda client=client: client.predict({"picture": pictures}, "serving_float")
            for road, client in roads.items()
        },
        "SavedModel, no server": lambda: bundle.score_float(pictures),
        "ONNX Runtime, no server": lambda: twin({"picture": pictures}),
        "a process that loads the model": lambda: subprocess.run(
            [sys.executable, "-c", COLD, str(bundle.folder), str(stored)], check=True, capture_output=True
        ),
    }
    try:
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(given.rounds + 1):
            for way, ask in ways.items():
                began = time.perf_counter()
                ask()
                if number:  # the first round warms up
                    times[way].append(time.perf_counter() - began)
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(stored.parent)
    cold = median(times["a process that loads the model"])
    print(machine("tensorflow", "onnxruntime"))
    print(f"four pictures of {rows}x{columns}, median of {given.rounds} rounds")
    print("| way | ms | cold is so many times as long |\n|---|---|---|")
    for way, took in times.items():
        print(f"| {way} | {1000 * median(took):.0f} | {cold / median(took):.1f} |")


if __name__ == "__main__":
    main()
