"""A process with feeders in it, which it makes as standard input says, a JSON list a line; and what they give.

Feeders end with their process alone, so they are not made in that of the tests.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
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

    def feed(self, address: str, about: dict[str, str], masks: str = "") -> None:
        """Makes a feeder, once it is there; `about` is what it tells of itself, `masks` as of `asked_of`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([address, about, masks]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def main(folder: str) -> None:
    """Reads and does."""
    from mammo_tf.data.feeding import Feeder, Wish

    records, feeders = open_records(folder), []

    def stream_of(wish: Wish, masks: str) -> StageStream:
        gc.collect()  # what nobody keeps of what was offered before is gone
        share = (wish.number, wish.machines, wish.devices)
        return asked_of(records, masks, share, stage=wish.stage, first_epoch=wish.first_epoch)

    for line in sys.stdin:
        address, about, masks = json.loads(line)
        feeders.append(Feeder(address, about, partial(stream_of, masks=masks)))
        print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
