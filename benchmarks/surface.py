"""HD, HD95 and ASD of two masks against MedPy and MONAI, at 512x512 and at a view's 2457x1996.

    python benchmarks/surface.py --peer-python VENV/bin/python

Three pairs of masks at each size, with anisotropic spacing: a lesion and a call a little beside it, a cluster of specks
and its call, and two outlines of a breast. Ours gives all eight metrics, theirs three. Before anything counts, HD and
ASD must agree, and HD95 with ours as each defines it (1e-9 with MedPy, 1e-5 relative with MONAI, which is float32).
MedPy is timed twice: as its users call it, each metric by itself, and with its two passes of distances shared among
them (`medpy, once`). One thread each, in turn, `--rounds` times.

The peers need an environment of their own: python -m venv VENV && VENV/bin/pip install medpy==0.5.2 torch monai==1.6.1;
one that is missing there is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import Worker, in_turn, machine, median, peak_mib, serve, spread

SPACING = (0.085, 0.07)
SCENES = ("lesion", "specks", "breast")
OURS = "ours, all eight"
PEERS = ("medpy", "medpy, once", "monai")


def wavy(size: tuple[int, int], centre: tuple[float, float], radius: float, phase: float) -> np.ndarray:
    """A filled outline that is no circle, bool `size`."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    reach = radius * (1 + 0.12 * np.sin(5 * angles + phase) + 0.05 * np.sin(17 * angles + 2 * phase))
    corners = np.column_stack([centre[1] + reach * np.cos(angles), centre[0] + reach * np.sin(angles)])
    drawn = np.zeros(size, np.uint8)
    cv2.fillPoly(drawn, [np.rint(corners).astype(np.int32)], 1)
    return drawn.astype(bool)


def make(folder: Path, size: tuple[int, int]) -> None:
    """The pairs of masks."""
    rows, columns = size
    small = min(size)
    generator = np.random.default_rng(0)
    specks = np.zeros((2, *size), bool)
    for row, column in generator.normal((rows * 0.4, columns * 0.4), small / 25, (30, 2)).astype(int):
        for mask, apart in zip(specks, generator.integers(-1, 2, 2), strict=True):
            mask[row + apart : row + apart + 3, column : column + 3] = True
    pairs = {
        "lesion": [wavy(size, (rows * 0.4, columns * 0.4 + 4 * n), small / 14, n) for n in (0, 1)],
        "specks": list(specks),
        "breast": [wavy(size, (rows / 2, columns / 2), small * (0.4 - 0.005 * n), n) for n in (0, 1)],
    }
    for name, (prediction, truth) in pairs.items():
        np.savez(folder / f"{name}.npz", prediction=prediction, truth=truth, spacing=np.array(SPACING))


def work(folder: str) -> None:
    """Our side."""
    from mammo_tf.evaluation.surface import surface_metrics

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        with np.load(Path(folder) / f"{request['scene']}.npz") as file:
            prediction, truth, spacing = file["prediction"], file["truth"], file["spacing"]
        start, busy = time.perf_counter(), time.process_time()
        values = surface_metrics(prediction, truth, spacing)
        seconds, processor = time.perf_counter() - start, time.process_time() - busy
        values["hd95 pooled"] = surface_metrics(prediction, truth, spacing, pooled=True)["hd95"]
        return {"seconds": seconds, "processor": processor, "peak": peak_mib(), "values": values}

    serve(answer)


def agree(name: str, ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Stops the benchmark where a peer measures something else."""
    tolerance = {"rtol": 1e-5} if name == "monai" else {"rtol": 0, "atol": 1e-9}
    for mine, other in (("hd", "hd"), ("asd", "asd"), ("hd95" if name == "monai" else "hd95 pooled", "hd95")):
        np.testing.assert_allclose(ours[mine], theirs[other], **tolerance, err_msg=f"{other} of {name}")


def compare(folder: Path, peers: list[str], python: str, rounds: int, size: tuple[int, int]) -> None:
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    here = Path(__file__).resolve()
    make(folder, size)
    workers = {OURS: Worker(OURS, [sys.executable, str(here), "--work", str(folder)], alone)}
    for peer in peers:
        command = [python, str(here.with_name("peer_surface.py")), peer, str(folder)]
        workers[peer] = Worker(peer, command, alone | {"PYTHONPATH": os.fspath(here.parent)})
    for scene in SCENES:
        first = {name: one.ask(scene=scene)["values"] for name, one in workers.items()}
        for peer in peers:
            agree(peer, first[OURS], first[peer])
        found = in_turn(workers, rounds, {"scene": scene})
        print(f"{size[0]}x{size[1]}, {scene}: HD {first[OURS]['hd']:.2f} mm, ASD {first[OURS]['asd']:.3f} mm")
        for name, values in found.items():
            ratio = median(values["seconds"]) / median(found[OURS]["seconds"])
            print(
                f"  {name:16} {1000 * median(values['seconds']):8.1f} ms ({spread(values['seconds'])} s), "
                f"cpu {1000 * median(values['processor']):.1f} ms, peak {median(values['peak']):.0f} MiB"
                + ("" if name == OURS else f"; / ours {ratio:.1f}")
            )
    for one in workers.values():
        one.close()


def version_in(python: str, package: str) -> str:
    """The version of a package that an interpreter has; empty where it has none."""
    asked = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has MedPy, MONAI or both; none: ours alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return 0
    sizes = [(96, 80)] if arguments.quick else [(512, 512), (2457, 1996)]
    python, peers = arguments.peer_python, list[str]()
    if python and python != "none":
        for package in ("medpy", "monai"):
            version = version_in(python, package)
            print(f"{package} {version}" if version else f"{package} is not there, and left out")
            peers += [peer for peer in PEERS if version and peer.startswith(package)]
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            compare(Path(name), peers, python or "", 1 if arguments.quick else arguments.rounds, size)
    print(machine("numpy", "scipy", "opencv-python-headless"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
