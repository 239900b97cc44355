"""What `prepare` costs per image, and what memory it takes, as a manifest grows: tiny pictures, so that the rest shows.

    python benchmarks/prepare_scale.py [--rows 1000 10000 100000] [--workers N]

One picture of 16x16 stands in the manifest under as many names as there are rows, so that files, too, cost next to
nothing. It has no fingerprint: comparing fingerprints takes time with the square of the images, and is not in this.
Each size is prepared in a process of its own: records are made, found whole by the same command again, and opened.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from measuring import machine

SIDE = 16
LINKS = 50000  # names of a file, of which ext4 allows 65000
MIB = 1024


def study(folder: Path, rows: int) -> Path:
    """A manifest of one picture under many names."""
    from mammo_tf.study import make_manifest, write_manifest

    folder.mkdir(parents=True)
    picture = np.zeros((SIDE, SIDE), np.uint16)
    picture[4:6, 4:6] = 30000  # no breast, so that no fingerprint is compared with all others
    for number in range(rows):
        first = folder / f"{number // LINKS * LINKS}.png"
        if number % LINKS:
            (folder / f"{number}.png").hardlink_to(first)
        else:
            cv2.imwrite(str(first), picture)
    listed = (
        {"image_id": f"i{number}", "patient_id": f"p{number}", "path": f"{number}.png", "label": "normal"}
        for number in range(rows)
    )
    write_manifest(make_manifest(listed), folder / "manifest.csv")
    return folder / "manifest.csv"


def measured(manifest: Path, step: str, workers: int) -> dict[str, float]:
    """Seconds of one step and the highest memory of this process in MiB, in all and beyond the manifest's table."""
    import tensorflow as tf

    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import open_records, prepare
    from mammo_tf.study import read_manifest

    assert tf.__version__  # loaded before the clock starts
    table = read_manifest(manifest) if step == "prepare" else None
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB, time.perf_counter()
    folder = manifest.parent / "records"
    if table is None:
        open_records(folder)
    else:
        prepare(table, manifest.parent, folder, Preprocessing.preset("legacy", (SIDE, SIDE)), workers)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "before": before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10000, 100000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measured(Path(arguments.measure[0]), arguments.measure[1], arguments.workers)))
        return 0
    print("rows     step            seconds  ms an image  peak MiB  of these before")
    for rows in [20, 200] if arguments.quick else arguments.rows:
        with tempfile.TemporaryDirectory() as name:
            manifest = study(Path(name) / "study", rows)
            for what, step in (("made", "prepare"), ("found whole", "prepare"), ("opened", "open")):
                command = [
                    sys.executable,
                    __file__,
                    "--measure",
                    str(manifest),
                    step,
                    "--workers",
                    str(arguments.workers),
                ]
                told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                found = json.loads(told.splitlines()[-1])
                each = found["seconds"] / rows * 1000
                line = f"{rows:<8} {what:14} {found['seconds']:8.1f} {each:12.3f} {found['peak']:9.0f}"
                print(line, f"{found['before']:9.0f}", flush=True)
            index = (manifest.parent / "records" / "index.json").stat().st_size
            print(f"{rows:<8} index.json {index / rows:8.0f} bytes an image")
    print(machine("tensorflow", "numpy", "pandas"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
