"""Records on disk to augmented batches that nobody looks at, against a two-worker PyTorch DataLoader with OpenCV.

    python benchmarks/records_stream.py [--peer-python VENV/bin/python]

Random textures of 1152x896 and 16 bits are prepared once; both sides then read the same payloads at the same offsets,
check the same CRC-32, warp with OpenCV by the same maps (Table 7) in the same order, and give float32 batches of eight
with three equal channels, the mean subtracted. The first batches are compared. Files lie in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import (
    HOW_TO_GET_THE_PEER,
    Worker,
    in_turn,
    machine,
    median,
    peak_mib,
    peer_python,
    processor_seconds,
    serve,
    spread,
)

HERE = Path(__file__).resolve().parent
BATCH, SEED, WARM = 8, 3, 6
GPU_APPETITE = 200  # images/s that one GPU is to be fed with


def make_records(folder: Path, images: int, size: tuple[int, int]) -> Any:
    """Records of blurred noise on a dark ground, 16 bits."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import open_records, prepare
    from mammo_tf.study import make_manifest

    folder.mkdir(parents=True)
    rows = []
    for number in range(images):
        generator = np.random.default_rng((SEED, number))
        texture = cv2.GaussianBlur(generator.normal(0.4, 1.5, size), (0, 0), 3) + generator.normal(0, 0.02, size)
        texture[:, size[1] * 2 // 3 :] = 0
        cv2.imwrite(str(folder / f"{number}.png"), np.rint(np.clip(texture, 0, 1) * 65535).astype(np.uint16))
        label = ("normal", "malignant")[number % 2]
        rows.append({"image_id": f"i{number}", "patient_id": f"p{number}", "path": f"{number}.png", "label": label})
    prepare(make_manifest(rows), folder, folder / "records", Preprocessing.preset("legacy", size))
    return open_records(folder / "records")


def whole_images(records: Any) -> Any:
    from mammo_tf.data import Augmentation, WholeImages

    positions = np.arange(len(records))
    return WholeImages(positions, positions % 2, records.size, Augmentation(), shuffle=True, seed=SEED)


def job_for_peer(records: Any, folder: Path, epochs: int) -> tuple[Path, Path]:
    """What the peer has to know: payloads, and the draws of the same epochs."""
    scale, mean = records.preprocessing.intensity_steps[:2]
    payloads = []
    for position, place in enumerate(records.locations):
        begins = records.payload(position).index(records.picture(position).tobytes())
        payloads.append([str(records.folder / records.shards[place.shard]), *place[1:], begins])
    job = {
        "payloads": payloads, "size": records.size, "batch_size": BATCH,
        "scale": scale.levels * scale.factor / 65535, "mean": mean.mean,
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    epochs_drawn = [whole_images(records).epoch(number) for number in range(epochs)]
    positions, matrices = (np.concatenate([draws[place] for draws in epochs_drawn]) for place in (0, 1))
    np.savez(folder / "draws.npz", positions=positions, matrices=matrices)
    return folder / "job.json", folder / "draws.npz"


def ours(folder: str) -> None:
    """The worker's side of our stream."""
    from mammo_tf.data import training_stream
    from mammo_tf.records import open_records

    records = open_records(folder)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        stream = iter(training_stream(records, whole_images(records), BATCH))
        if request["what"] == "first":
            np.save(request["path"], next(stream)["image"].numpy())
            return {}
        for _ in range(request["warm"]):
            next(stream)
        start, busy = time.perf_counter(), processor_seconds()
        for _ in range(request["batches"]):
            next(stream)
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib()}

    serve(answer)


def compare(workers: dict[str, Worker], folder: Path, draws: Path) -> None:
    """Ends with an error unless all sides give the same first batch."""
    firsts = {}
    for name, worker in workers.items():
        worker.ask(what="first", path=str(folder / "first.npy"), draws=str(draws))
        firsts[name] = np.load(folder / "first.npy")
    reference = next(iter(firsts.values()))
    for name, first in firsts.items():
        difference = float(np.abs(first - reference).max())
        print(f"first batch of {name}: {first.shape}, within {difference:.1e} of ours, std {first.std():.1f}")
        if difference > 1e-3:
            raise SystemExit(f"{name} gives other pictures")


def report(found: dict[str, dict[str, list[float]]], images: int) -> None:
    print(f"{'':22} {'images/s':>9} {'images/s a core':>16} {'cores for 200/s':>16}   rounds")
    for name, values in found.items():
        rate = images / median(values["seconds"])
        a_core = images / median(values["processor"])
        rounds = spread([images / seconds for seconds in values["seconds"]])
        print(f"{name:22} {rate:9.1f} {a_core:16.1f} {GPU_APPETITE / a_core:16.2f}   {rounds}")
    mine, *others = found.values()
    if others:
        best = min(others, key=lambda values: median(values["seconds"]))
        print(
            f"ours / fastest peer: {median(best['seconds']) / median(mine['seconds']):.2f} in images/s (goal 1.2), "
            f"{median(best['processor']) / median(mine['processor']):.2f} in images/s a core"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch; 'none' leaves the peer out")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=30, help="in a round")
    parser.add_argument("--images", type=int, default=48, help="records on disk")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        ours(arguments.ours)
        return 0
    rounds, batches, images, size = arguments.rounds, arguments.batches, arguments.images, (1152, 896)
    if arguments.quick:
        rounds, batches, images, size = 2, 2, 8, (96, 64)
    python = None if arguments.peer_python == "none" else peer_python(arguments.peer_python)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = make_records(folder / "study", images, size)
        epochs = (batches + WARM + 8) * BATCH // images + 1
        job, draws = job_for_peer(records, folder, epochs)
        workers = {"ours": Worker("ours", [sys.executable, __file__, "--ours", str(records.folder)])}
        for place in ("workers", "main") if python else ():
            command = [python, str(HERE / "peer_stream.py"), str(job), place]
            workers[f"torch, in {place}"] = Worker(place, command)
        compare(workers, folder, draws)
        request = {"what": "time", "warm": WARM, "batches": batches, "draws": str(draws)}
        found = in_turn(workers, rounds, request)
        for worker in workers.values():
            worker.close()
    report(found, batches * BATCH)
    print(machine("tensorflow", "opencv-python-headless", "numpy") if python else HOW_TO_GET_THE_PEER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
