"""SpotTune's train step and predict against the plain network's, and against the floor that its arithmetic sets.

    python benchmarks/spottune.py [--size 512] [--batch 2] [--rounds 5]

The patch network of 29 layers, full width, float32, and SpotTune of it: every residual block twice and a policy
network. Both are processes of their own and work in turn; a step is `model.train_on_batch` after `prepare_stage`, as a
run trains (Adam, coupled decay, "all"). SpotTune's scores are compared first: as both twins start alike, they are the
network's.

The floor is a count of multiplications in convolutions and the dense layer. Predicting costs what is outside of the
blocks once, the blocks twice, and the policy network. Training costs three times that (outputs, gradients of inputs,
gradients of kernels), and only two thirds of it in kept twins, whose kernels have no gradient.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Worker, in_turn, machine, median, peak_mib, processor_seconds, serve, spread

PLAIN, TWICE = "plain", "spottune"
MODES = ("train", "predict")
SAME = 1e-5
Blocks = tuple[int, ...]


def work(mode: str, which: str, folder: str) -> None:
    """The worker's side."""
    from mammo_tf.training import Stage, load_model, prepare_stage

    model = load_model(Path(folder) / f"{which}.keras").model
    with np.load(Path(folder) / "batch.npz") as stored:
        pictures, labels = stored["pictures"], stored["labels"]
    stage = Stage(mode, ("all",), rate=5e-5, epochs=1, weight_decay=1e-4, decay="coupled")
    model = prepare_stage(model, stage)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        found = model.predict_on_batch(pictures) if mode == "predict" else model.train_on_batch(pictures, labels)
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        result = np.asarray(found, np.float64).tolist() if mode == "predict" else None
        return {"seconds": seconds, "processor": processor, "result": result, "peak": peak_mib()}

    serve(answer)


def multiplications(model: Any) -> dict[str, int]:
    """Path of each convolution and dense layer to its multiplications for one picture."""
    from mammo_tf.models import named_layers

    return {
        path: int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:-1]))
        for path, layer in named_layers(model)
        if hasattr(layer, "kernel")
    }


def floors(model: Any, policy: Any) -> dict[str, float]:
    """Cost of SpotTune over that of the plain network, by mode."""
    from mammo_tf.models.residual import residual_blocks

    counts = multiplications(model)
    whole, decisions = sum(counts.values()), sum(multiplications(policy).values())
    twice = sum(counts.get(path, 0) for paths in residual_blocks(model).values() for path in paths)
    return {
        "predict": (whole + twice + decisions) / whole,
        "train": (3 * (whole + decisions) + 2 * twice) / (3 * whole),
    }


def write(folder: Path, size: int, batch: int, blocks: Blocks, width: int) -> dict[str, float]:
    """Both networks and a batch; returns the floors."""
    from mammo_tf.models import resnet_patch, spottune
    from mammo_tf.training import save_model

    shape = (size, size, 1)
    model = resnet_patch(shape, blocks, width)
    save_model(folder / f"{PLAIN}.keras", model)
    save_model(folder / f"{TWICE}.keras", spottune(model))
    pictures = np.random.default_rng(0).normal(0, 1, (batch, *shape)).astype(np.float32)
    np.savez(folder / "batch.npz", pictures=pictures, labels=np.eye(2, dtype=np.float32)[np.arange(batch) % 2])
    return floors(model, resnet_patch(shape, (1,) * len(blocks), width))


def measure(mode: str, folder: Path, rounds: int, floor: float) -> None:
    workers = {
        which: Worker(which, [sys.executable, __file__, "--work", mode, which, str(folder)]) for which in (PLAIN, TWICE)
    }
    first = {which: worker.ask()["result"] for which, worker in workers.items()}
    if mode == "predict" and not np.allclose(first[PLAIN], first[TWICE], atol=SAME):
        raise SystemExit("the two networks start with other scores")
    found = in_turn(workers, rounds, {})
    for worker in workers.values():
        worker.close()
    print(f"{mode:10} {'s':>7} {'cpu s':>7} {'peak MiB':>9}   rounds")
    for which, values in found.items():
        seconds, processor = median(values["seconds"]), median(values["processor"])
        print(f"{which:10} {seconds:7.3f} {processor:7.3f} {max(values['peak']):9.0f}   {spread(values['seconds'])}")
    clock, cpu = (median(found[TWICE][key]) / median(found[PLAIN][key]) for key in ("seconds", "processor"))
    print(f"spottune / plain: {clock:.2f}, cpu {cpu:.2f}; floor of the arithmetic {floor:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a patch")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return 0
    size, blocks, width = arguments.size, (2, 3, 4), 64
    if arguments.quick:
        size, blocks, width, arguments.rounds = 32, (1,), 4, 1
    with tempfile.TemporaryDirectory() as name:
        floor = write(Path(name), size, arguments.batch, blocks, width)
        for mode in ("predict",) if arguments.quick else MODES:
            measure(mode, Path(name), arguments.rounds, floor[mode])
    print(machine("tensorflow", "keras", "numpy"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
