"""Damaged files (`mutations`) through `manifest` and `prepare`: each is listed or refused once, and none does harm.

    python tests/fuzzing.py --files 100000 --folder fuzz      # begins, or goes on where it was stopped
    python tests/fuzzing.py --make 4711 --folder fuzz         # makes file 4711 again

A file that fails is told by its number. `fuzz/log.jsonl` has a line a chunk: how many files, seconds, codes of refusal.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from mutations import damaged  # noqa: E402 - it lies next to this file

from mammo_tf import guard  # noqa: E402
from mammo_tf.errors import MammoError  # noqa: E402
from mammo_tf.guard import Limits  # noqa: E402
from mammo_tf.imaging import Preprocessing  # noqa: E402
from mammo_tf.reading.collections import collect  # noqa: E402
from mammo_tf.records import open_records, prepare  # noqa: E402
from mammo_tf.study import Reject, make_manifest  # noqa: E402

CHUNK = 500  # files that lie on disk at once
LIMITS = Limits(seconds=20.0, memory_bytes=2 << 30)  # of which the interpreter has 0.6 GB; the files are tiny
SIZE = (32, 24)
FLOODED = "reading it takes more than"
HARM = ("unforeseen", "decoder_hangs", "decoder_crashed")
# What a look at the header cannot know: it shows where pixels are decoded.
DECODED = ("bad_pixels", "laterality_picture", "truncated")


class Outcome(NamedTuple):
    """What became of a chunk: codes of refusals by `manifest` and by `prepare`, and a line for every fault."""

    listed: Counter[str]
    prepared: Counter[str]
    faults: list[str]


def write(numbers: Iterable[int], folder: Path, seed: int) -> dict[str, int]:
    """Makes files, each in a folder of its own, so that none is taken for a slice of another; numbers by path."""
    found = {}
    for number in numbers:
        name, data = damaged(number, seed)
        place = f"{number:07d}/{name.rpartition('/')[2] or 'file'}"
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_bytes(data)
        found[place] = number
    return found


def look(places: dict[str, int], root: Path, out: Path, workers: int = 2) -> Outcome:
    """Lists the files of a folder and prepares them all, whatever the list says; tells what should not have happened.

    Args:
        places: numbers of the files by path.
        root: their folder.
        out: a folder for records; must not be there.
        workers: processes.
    """
    table, rejects = collect("folder", root)
    faults = once(places, table["path"], rejects, "manifest")
    rows = [
        {"image_id": place, "patient_id": place, "path": place, "laterality": "L", "view": "CC"} for place in places
    ]
    preprocessing = Preprocessing.preset("legacy", SIZE)
    try:
        later = prepare(make_manifest(rows), root, out, preprocessing, workers).rejects
        kept = open_records(out).rows["path"]
    except MammoError as error:
        if error.code != "nothing_usable":
            raise
        later, kept = (), table["path"][:0]
    faults += once(places, kept, later, "prepare") if len(kept) else []
    refused = {reject.path: reject for reject in later}
    for place in table["path"]:
        if place in refused and refused[place].code not in DECODED:
            faults.append(f"{places[place]}: listed, and then refused by prepare: {refused[place].sentence}")
    return Outcome(Counter(one.code for one in rejects), Counter(one.code for one in later), faults)


def once(places: dict[str, int], kept: Iterable[str], rejects: Iterable[Reject], who: str) -> list[str]:
    """What is listed never, twice, or both as kept and as refused; and refusals that tell of harm."""
    rejects = list(rejects)
    counts = Counter([*kept, *(reject.path for reject in rejects)])
    faults = [f"{places.get(place)}: {who} lists {place} {counts[place]} times" for place in {*places, *counts} if
              counts[place] != 1 or place not in places]  # fmt: skip
    for reject in rejects:
        if reject.code in HARM or reject.reason.startswith(FLOODED):
            faults.append(f"{places.get(reject.path)}: {who}: {reject.code}: {reject.sentence}")
    return faults


def run(files: int, folder: Path, seed: int, workers: int) -> int:
    """Goes through all numbers in chunks, from the first that is not in the log; gives how many faults are logged."""
    log = folder / "log.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if lines and lines[0]["seed"] != seed:
        raise SystemExit(f"{folder} holds another seed: {lines[0]['seed']}")
    guard.LIMITS = LIMITS
    while (begin := sum(line["files"] for line in lines)) < files:
        began, numbers = time.monotonic(), range(begin, min(files, begin + CHUNK))
        for left in ("files", "records"):
            shutil.rmtree(folder / left, ignore_errors=True)
        found = look(write(numbers, folder / "files", seed), folder / "files", folder / "records", workers)
        peak = [resource.getrusage(who).ru_maxrss >> 10 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        line: dict[str, Any] = {"seed": seed, "first": begin, "files": len(numbers)}
        line |= {"seconds": round(time.monotonic() - began, 2), "peak_mib": max(peak), "faults": found.faults}
        line |= {"listed": found.listed, "prepared": found.prepared}
        lines.append(line)
        with log.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        speed = len(numbers) / line["seconds"]
        print(f"{begin + len(numbers)} of {files} files, {speed:.0f} files/s", *found.faults, sep="\n  ", flush=True)
    for left in ("files", "records"):
        shutil.rmtree(folder / left, ignore_errors=True)
    return sum(len(line["faults"]) for line in lines)


def main() -> int:
    one = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument("--files", type=int, default=100_000)
    one.add_argument("--folder", type=Path, default=Path("fuzz"))
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("--make", type=int, metavar="NUMBER")
    options = one.parse_args()
    if options.make is not None:
        print(*(options.folder / place for place in write([options.make], options.folder, options.seed)))
        return 0
    faults = run(options.files, options.folder, options.seed, options.workers)
    print(f"{faults} faults")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
