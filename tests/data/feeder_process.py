"""A process with feeders in it, that does what it reads from standard input, a JSON object a line; and what they give.

Feeders end with their process alone, so they are not made in that of the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mammo_tf.data import Augmentation, Gamma, WholeImages
from mammo_tf.data.shares import Share
from mammo_tf.data.streams import StageStream
from mammo_tf.errors import MammoError
from mammo_tf.records import Records, open_records

ROOT = Path(__file__).parents[2]


def asked_of(records: Records, masks: str = "", share: tuple[int, int, int] = (0, 1, 1), **changes: Any) -> StageStream:
    """Batches of eight augmented pictures of the training part.

    Args:
        records: of the pictures.
        masks: "bright" for those of bright pixels, "damaged" for some that cannot be read.
        share: number, machines, devices.
        changes: fields of the stream.
    """

    def bright(position: int) -> Any:
        return records.picture(position) > 30000

    def damaged(position: int) -> Any:
        raise MammoError("record_damaged", f"picture {position} is damaged", "Prepare it again")

    positions = records.positions("train")
    labels = np.array(records.rows["label"].iloc[positions] == "malignant", np.int64)
    plan = WholeImages(positions, labels, records.size, Augmentation(intensity=(Gamma(),)), shuffle=True, seed=5)
    stream = StageStream(records, plan, 8, records.preprocessing, share=Share(*share))
    return replace(stream, masks={"": None, "bright": bright, "damaged": damaged}[masks], **changes)


class FeederProcess:
    """The process, from outside."""

    def __init__(self, records: Records) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, __file__, str(records.folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def do(self, addresses: tuple[str, ...], number: int = 0, **what: Any) -> None:
        """Makes a feeder, unless it is there; `offer` lists arguments of `asked_of`, `tell` has what decides."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"addresses": addresses, "number": number, **what}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def main(folder: str) -> None:
    """Reads and does."""
    from mammo_tf.data.feeding import Feeder

    records, feeders = open_records(folder), {}
    for line in sys.stdin:
        told = json.loads(line)
        key = (tuple(told["addresses"]), told["number"])
        feeder = feeders[key] = feeders.get(key) or Feeder(*key)
        for arguments in told.get("offer", ()):
            feeder.offer(asked_of(records, **arguments))
        if "tell" in told:
            feeder.tell(told["tell"])
        print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
