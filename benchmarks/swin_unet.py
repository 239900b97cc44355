"""Swin-Unet forward and train step (default configuration, 512x512x1) against the same network in PyTorch.

    python benchmarks/swin_unet.py [--peer-python PYTHON] [--batches 1 2] [--only predict] [--ways ...]

Every way is a process of its own; they work in turn, and the peer is the fastest of PyTorch's ways. First the peer,
which is written from `tests/golden/swin_unet/README.md`, must give the reference's logits (5e-5) and gradients (1e-4);
then ours and the peer, with the same weights, must give the same probabilities and Dice (1e-4). A step is Adam on soft
Dice, drop path 0.1. Peak memory is a process's largest resident set, its libraries included. A way of ours is
KIND[:NAME=VALUE...], NAME=VALUE for the environment; kinds:

- `predict`: `model.predict_on_batch`; `predict_xla`: compiled by XLA;
- `step`: as a run trains (`model.train_on_batch` after `prepare_stage`); `step_xla`: compiled by XLA.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
GOLDEN = HERE.parent / "tests" / "golden" / "swin_unet"
GOLDEN_CONFIG = {"size": [64, 64], "channels": 1, "embed_dim": 12, "window": 4}
RATE, GOAL, SAME = 1e-4, 1.0, 1e-4
WAYS = {"predict": ("predict",), "train": ("step",)}
PEER_WAYS = ("eager", "sdpa")
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}  # PyTorch's threads do not spin while a neighbour has their core


def network(size: tuple[int, int], small: bool) -> tuple[Any, dict[str, Any]]:
    """The network's description, and the same for the peer."""
    from mammo_tf.models import SwinUnet

    wanted = SwinUnet().small() if small else SwinUnet()
    return wanted, asdict(wanted) | {"size": size, "channels": 1}


def ours(kind: str, folder: str, small: str) -> None:
    """The worker's side of one of our ways."""
    from mammo_tf.models import load_torch_weights
    from mammo_tf.training import Stage, prepare_stage
    from mammo_tf.training.tasks.segmentation import Segmentation

    with np.load(Path(folder) / "batch.npz") as stored:
        pictures, truth = stored["pictures"], stored["truth"]
    wanted, _ = network(pictures.shape[1:3], small == "small")
    model, task = wanted.build(pictures.shape[1:]), Segmentation()
    if (Path(folder) / "weights.npz").exists():
        with np.load(Path(folder) / "weights.npz") as stored:
            load_torch_weights(model, stored)
    model = prepare_stage(model, Stage(kind, ("all",), rate=RATE, epochs=1), task=task)
    if kind.endswith("xla"):
        compiled = task.compiled(model)
        model.compile(model.optimizer, compiled.loss, weighted_metrics=compiled.weighted_metrics, jit_compile=True)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["what"] == "load":
            found = model.predict_on_batch(pictures)
            np.save(request["to"], found[..., 1])
            return {"loss": float(np.mean(task.compiled(model).loss(truth, found)))}
        start, busy = time.perf_counter(), processor_seconds()
        if kind.startswith("step"):
            model.train_on_batch(pictures, truth)
        else:
            model.predict_on_batch(pictures)
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib()}

    serve(answer)


def write_batch(folder: Path, batch: int, size: tuple[int, int]) -> None:
    """Pictures of noise and masks with a few specks."""
    generator = np.random.default_rng(0)
    pictures = generator.random((batch, *size, 1)).astype(np.float32)
    truth = (generator.random((batch, *size)) < 0.001).astype(np.float32)
    np.savez(folder / "batch.npz", pictures=pictures, truth=truth)


def check_peer(worker: Worker, config: dict[str, Any]) -> None:
    """Ends with an error where the peer is not the published network."""
    golden = config | GOLDEN_CONFIG | {"heads": [3, 6, 12, 24], "depths": [2, 2, 2, 2]}
    files = {"answers": str(GOLDEN / "sq64_w4_c1.npz"), "weights": str(GOLDEN / "sq64_w4_c1_weights.npz")}
    logits, slopes = worker.ask(what="golden", config=golden, **files)["differences"]
    print(f"{worker.name}: logits {logits:.1e} and gradients {slopes:.1e} from the reference")
    if logits > 5e-5 or slopes > 1e-4:
        raise SystemExit(f"{worker.name} is another network")


def compare(workers: dict[str, Worker], folder: Path, request: dict[str, Any]) -> None:
    """First calls; ends with an error where two ways give other probabilities or losses."""
    found: dict[str, tuple[np.ndarray, float]] = {}
    for number, (name, worker) in enumerate(workers.items()):
        path = folder / f"{number}.npy"
        loss = worker.ask(what="load", to=str(path), **request)["loss"]
        found[name] = np.load(path), loss
        worker.ask(what="work")
    reference = next(iter(found.values()))
    print(f"probabilities {reference[0].mean():.3f} +- {reference[0].std():.3f}, soft Dice loss {reference[1]:.5f}")
    for name, (probability, loss) in found.items():
        apart = max(float(np.abs(probability - reference[0]).max()), abs(loss - reference[1]))
        print(f"{name}: {apart:.1e} from the first")
        if apart > SAME:
            raise SystemExit(f"{name} computes something else")


def measure(mode: str, batch: int, python: str | None, arguments: argparse.Namespace) -> None:
    size = (64, 64) if arguments.quick else (arguments.size, arguments.size)
    config = network(size, arguments.quick)[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_batch(folder, batch, size)
        peers = {}
        for how in arguments.peer_ways if python else ():
            command = [python, str(HERE / "peer_swin_unet.py"), how, str(arguments.threads)]
            peers[f"torch {how}"] = Worker(f"torch {how}", command, PASSIVE)
            check_peer(peers[f"torch {how}"], config)
        for worker in list(peers.values())[:1]:
            worker.ask(what="write", config=config, path=str(folder / "weights.npz"))
        workers: dict[str, Worker] = {}
        for one in arguments.ways or WAYS[mode]:
            kind, *settings = one.split(":")
            command = [sys.executable, __file__, "--ours", kind, str(folder), "small" if arguments.quick else "full"]
            threads = {f"TF_NUM_{kind}OP_THREADS": str(arguments.threads) for kind in ("INTRA", "INTER")}
            environment = threads | dict(setting.split("=", 1) for setting in settings)
            workers[f"ours {one}"] = Worker(one, command, environment)
        workers |= peers
        files = {"weights": str(folder / "weights.npz"), "batch": str(folder / "batch.npz")}
        compare(workers, folder, {"mode": mode, "config": config, **files})
        found = in_turn(workers, arguments.rounds, {"what": "work"})
        for worker in workers.values():
            worker.close()
    report(f"{mode}, batch {batch}", found)


def report(title: str, found: dict[str, dict[str, list[float]]]) -> None:
    print(f"{title:30} {'s':>7} {'cpu s':>7} {'peak MiB':>9}   rounds")
    for name, values in found.items():
        seconds, processor = median(values["seconds"]), median(values["processor"])
        print(f"{name:30} {seconds:7.3f} {processor:7.3f} {max(values['peak']):9.0f}   {spread(values['seconds'])}")
    peers = [values for name, values in found.items() if name.startswith("torch")]
    for name, values in found.items():
        if peers and name.startswith("ours"):
            clock, processor = (
                median(values[key]) / min(median(peer[key]) for peer in peers) for key in ("seconds", "processor")
            )
            print(f"{name} / torch: {clock:.2f} (goal {GOAL}), cpu {processor:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch; 'none' leaves the peer out")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a picture")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side")
    parser.add_argument("--only", choices=tuple(WAYS))
    parser.add_argument("--ways", nargs="+", help="ours to measure instead of the usual ones")
    parser.add_argument("--peer-ways", nargs="+", default=PEER_WAYS, help="the peer's: eager, sdpa, compiled")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        ours(*arguments.ours)
        return 0
    if arguments.quick:
        arguments.rounds, arguments.batches = 1, [1]
    python = None if arguments.peer_python == "none" else peer_python(arguments.peer_python)
    for mode in (arguments.only,) if arguments.only else tuple(WAYS):
        for batch in arguments.batches:
            measure(mode, batch, python, arguments)
    print(machine("tensorflow", "keras", "numpy") if python else HOW_TO_GET_THE_PEER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
