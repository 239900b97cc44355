"""Batches over tf.data's service from one and two feeders, against the same stream in the process that trains.

    python benchmarks/feeding.py [--images 32] [--rounds 5]

Records of 1152x896 pixels as of `records_stream`, batches of eight, Table 7's warp. Feeders are processes on this
machine, so they share its cores with who reads: what counts is the processor time that they take off that process.
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

import numpy as np
from measuring import machine, median, spread
from records_stream import BATCH, make_records, whole_images

WARM, PORT = 6, 47100
ABOUT = {"benchmark": "feeding"}


def asked_of(records: Any) -> Any:
    from mammo_tf.data.streams import StageStream

    return StageStream(records, whole_images(records), BATCH, records.preprocessing)


def feeder(folder: str, address: str) -> None:
    """A feeder's side."""
    from mammo_tf.data.feeding import Feeder
    from mammo_tf.records import open_records

    records = open_records(folder)
    Feeder(address, ABOUT, lambda wish: asked_of(records)).wait()


def stream_of(records: Any, addresses: tuple[str, ...]) -> Any:
    from mammo_tf.data.feeding import Feeders

    asked = asked_of(records)
    return Feeders(addresses, ABOUT).stream(asked) if addresses else asked.finished(asked.cut())


def timed(records: Any, addresses: tuple[str, ...], batches: int) -> tuple[float, float]:
    """Seconds, and of this process' processor, an image."""
    stream = iter(stream_of(records, addresses))
    for _ in range(WARM):
        next(stream)
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(stream)
    images = batches * BATCH
    return (time.perf_counter() - start) / images, (time.process_time() - busy) / images


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--images", type=int, default=32)
    asked.add_argument("--batches", type=int, default=24)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--rows", type=int, default=1152)
    asked.add_argument("--columns", type=int, default=896)
    asked.add_argument("--feeder", nargs=2, help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.feeder:
        feeder(*options.feeder)
        return
    with tempfile.TemporaryDirectory() as room:
        records = make_records(Path(room) / "films", options.images, (options.rows, options.columns))
        sides: dict[str, tuple[str, ...]] = {"in the process that trains": ()}
        processes = []
        for count in (1, 2):
            addresses = tuple(f"127.0.0.1:{PORT + 10 * count + 2 * number}" for number in range(count))
            sides[f"{count} feeder{'s' * (count > 1)}"] = addresses
            for address in addresses:
                words = [__file__, "--feeder", str(records.folder), address]
                processes.append(subprocess.Popen([sys.executable, *words]))
        try:
            firsts = [next(iter(stream_of(records, addresses)))["image"].numpy() for addresses in sides.values()]
            if not all(np.array_equal(firsts[0], first) for first in firsts):
                raise SystemExit("feeders give other pictures")
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
            for _ in range(options.rounds):
                for name, addresses in sides.items():
                    found[name].append(timed(records, addresses, options.batches))
        finally:
            for process in processes:
                process.kill()
    print(machine("tensorflow"))
    print("| | images/s | processor of that process, ms an image |")
    print("|---|---|---|")
    for name, values in found.items():
        rates = [1 / seconds for seconds, _ in values]
        busy = [1000 * busy for _, busy in values]
        print(f"| {name} | {median(rates):.1f} ({spread(rates)}) | {median(busy):.1f} ({spread(busy)}) |")
    sys.stdout.flush()
    os._exit(0)  # readers of the service are asleep in threads


if __name__ == "__main__":
    main()
