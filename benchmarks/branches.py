"""Swin-Unet with three branches, on one batch of mixed branches, against three separate networks: train step.

    python benchmarks/branches.py [--size 512] [--branches 3] [--rounds 5]

One picture for each branch. `together` is a batch of all of them through one network with branches, `apart` one step of
each of as many networks, all held by one process, as a way without branches has to. Each is a process of its own and
they work in turn; a step is `model.train_on_batch` after `prepare_stage`, as a run trains (Adam, soft Dice). Parameters
are those that are trained. Peak memory is a process's largest resident set, its libraries included.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from measuring import Worker, in_turn, machine, median, peak_mib, processor_seconds, serve, spread

TOGETHER, APART = "together", "apart"
RATE = 1e-4


def work(which: str, size: int, branches: int, small: str) -> None:
    """The worker's side."""
    from mammo_tf.models import SwinUnet
    from mammo_tf.training import Stage, prepare_stage
    from mammo_tf.training.losses import with_branch
    from mammo_tf.training.tasks.segmentation import Segmentation

    generator, branch = np.random.default_rng(0), np.arange(branches)
    pictures = generator.random((branches, size, size, 1)).astype(np.float32)
    truth = (generator.random((branches, size, size)) < 0.001).astype(np.float32)
    wanted = SwinUnet().small() if small == "small" else SwinUnet()
    stage, shape = Stage(which, ("all",), rate=RATE, epochs=1), (size, size, 1)
    steps: list[tuple[Any, Any, Any]] = []
    if which == TOGETHER:
        network = prepare_stage(replace(wanted, branches=branches).build(shape), stage, task=Segmentation())
        steps.append((network, (pictures, branch), np.asarray(with_branch(truth, branch))))
    else:
        for one in branch:
            network = prepare_stage(wanted.build(shape), stage, task=Segmentation())
            steps.append((network, pictures[one : one + 1], truth[one : one + 1]))
    parameters = sum(int(np.prod(weight.shape)) for network, *_ in steps for weight in network.trainable_weights)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        for network, given, wanted_mask in steps:
            network.train_on_batch(given, wanted_mask)
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib(), "parameters": parameters}

    serve(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a picture")
    parser.add_argument("--branches", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.size, arguments.rounds = 32, 1
    if arguments.work:
        work(arguments.work, arguments.size, arguments.branches, "small" if arguments.quick else "full")
        return 0
    told = ["--size", str(arguments.size), "--branches", str(arguments.branches)]
    told += ["--quick"] if arguments.quick else []
    workers = {which: Worker(which, [sys.executable, __file__, "--work", which, *told]) for which in (TOGETHER, APART)}
    parameters = {which: worker.ask()["parameters"] for which, worker in workers.items()}
    found = in_turn(workers, arguments.rounds, {})
    for worker in workers.values():
        worker.close()
    print(f"{'':10} {'s':>7} {'cpu s':>7} {'peak MiB':>9} {'parameters':>11}   rounds")
    for which, values in found.items():
        print(f"{which:10} {median(values['seconds']):7.3f} {median(values['processor']):7.3f} "
              f"{max(values['peak']):9.0f} {parameters[which]:11,}   {spread(values['seconds'])}")  # fmt: skip
    clock, cpu, peak = (
        median(found[TOGETHER][key]) / median(found[APART][key]) for key in ("seconds", "processor", "peak")
    )
    print(f"{TOGETHER} / {APART}: {clock:.2f}, cpu {cpu:.2f}, peak memory {peak:.2f}")
    print(machine("tensorflow", "keras", "numpy"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
