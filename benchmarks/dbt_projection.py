"""The maximum intensity projection of a tomosynthesis object: time and peak memory against pydicom's whole volume.

    python benchmarks/dbt_projection.py [--frames 70] [--size 2457x1996]

A multi-frame Breast Tomosynthesis object of 12 bits (a breast with texture, a few frames repeated) is written
uncompressed and in each compression. Ours is `reading.project`: frame by frame, shown by the header's window. The peer
reads the whole volume (`pydicom.dcmread(path).pixel_array.max(axis=0)`), and shows nothing. Each side is a process of
its own; both live at the same time and work in turn, `--rounds` times; the file lies in the page cache. Memory is the
peak of the process less what it held with its libraries loaded, before it read. Before anything is timed the peer's
projection is shown by the same window, and compared with ours.
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

TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
FORMS = {
    "uncompressed": "1.2.840.10008.1.2.1",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}
DISTINCT = 5  # frames; to encode many takes long and tells nothing more
CENTRE, WIDTH = 2048, 4096


def write_volume(path: Path, syntax: str, frames: int, size: tuple[int, int]) -> None:
    """A volume of 12 bits whose frames are repeated in turn."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, generate_frames
    from pydicom.uid import RLELossless, generate_uid

    y, x = np.mgrid[: size[0], : size[1]]
    inside = ((y - size[0] / 2) / (0.42 * size[0])) ** 2 + (x / (0.7 * size[1])) ** 2 < 1
    rng = np.random.default_rng(0)
    distinct = [
        np.where(inside, np.clip(rng.normal(1500 + 100 * number, 60, size), 0, 4095), 0).astype("<u2")
        for number in range(min(DISTINCT, frames))
    ]
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = TOMOSYNTHESIS, generate_uid()
    made.Modality, made.ImageLaterality, made.ViewPosition = "MG", "L", "CC"
    made.NumberOfFrames, (made.Rows, made.Columns) = len(distinct), size
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.WindowCenter, made.WindowWidth = CENTRE, WIDTH
    made.PixelData = b"".join(frame.tobytes() for frame in distinct)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    order = [number % len(distinct) for number in range(frames)]
    if syntax == pydicom.uid.ExplicitVRLittleEndian:
        made.PixelData = b"".join(distinct[number].tobytes() for number in order)
    else:
        plugins = {FORMS["JPEG-LS"]: "pyjpegls", RLELossless: "pydicom"}
        made.compress(syntax, encoding_plugin=plugins.get(syntax, "pylibjpeg"), generate_instance_uid=False)
        encoded = list(generate_frames(made.PixelData, number_of_frames=len(distinct)))
        made.PixelData = encapsulate([encoded[number] for number in order])
    made.NumberOfFrames = frames
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def ours(path: str) -> np.ndarray:
    from mammo_tf.reading import project

    return project(path).pixels


def peer(path: str) -> np.ndarray:
    import pydicom

    found: np.ndarray = pydicom.dcmread(path).pixel_array.max(axis=0)
    return found


SIDES = {"ours": ours, "pydicom": peer}


def work(side: str) -> None:
    import pydicom.pixels

    import mammo_tf.reading  # noqa: F401 - both sides hold the same libraries

    pydicom.pixels.get_decoder(FORMS["JPEG 2000"])
    before = peak_mib()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        wall, processor = time.perf_counter(), processor_seconds()
        found = SIDES[side](request["path"])
        seconds, processor = time.perf_counter() - wall, processor_seconds() - processor
        if request.get("save"):
            np.save(request["save"], found)
        return {"seconds": seconds, "processor": processor, "peak": peak_mib() - before}

    serve(answer)


def compare(workers: dict[str, Worker], path: Path, folder: Path) -> None:
    """Refuses to time two sides that differ; also the first, unmeasured round."""
    found = {}
    for name, worker in workers.items():
        worker.ask(path=str(path), save=str(folder / f"{name}.npy"))
        found[name] = np.load(folder / f"{name}.npy")
    shown = np.clip((found["pydicom"] - (CENTRE - 0.5)) / (WIDTH - 1) + 0.5, 0, 1)
    if np.abs(shown - found["ours"]).max() > 2e-6:
        raise SystemExit("the two projections differ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=70)
    parser.add_argument("--size", default="2457x1996", metavar="ROWSxCOLUMNS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=FORMS, help="one form of the file")
    parser.add_argument("--quick", action="store_true", help="a tiny volume, one round")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work(options.side)
        return 0
    frames, rounds = (4, 1) if options.quick else (options.frames, options.rounds)
    rows, columns = (64, 48) if options.quick else map(int, options.size.split("x"))
    print(machine("numpy", "pydicom", "pylibjpeg-openjpeg", "pyjpegls"))
    print(f"{frames} frames of {rows}x{columns}, 16 bits allocated: {2 * frames * rows * columns / 2**20:.0f} MiB")
    for name in [options.only] if options.only else FORMS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "volume.dcm"
            write_volume(path, FORMS[name], frames, (rows, columns))
            command = [sys.executable, __file__, "--side"]
            workers = {side: Worker(side, [*command, side]) for side in SIDES}
            compare(workers, path, Path(folder))
            found = in_turn(workers, rounds, {"path": str(path)})
            for worker in workers.values():
                worker.close()
        for side, values in found.items():
            seconds = f"{median(values['seconds']):.2f} s ({spread(values['seconds'])})"
            print(f"{name:13} {side:8} {seconds:28} cpu {median(values['processor']):.2f} s, "
                  f"peak {max(values['peak']):.0f} MiB over the interpreter")  # fmt: skip
        wall, cpu, peak = (
            median(found["ours"][key]) / max(median(found["pydicom"][key]), 1e-9)
            for key in ("seconds", "processor", "peak")
        )
        print(f"{name:13} ours / pydicom: wall {wall:.2f}, cpu {cpu:.2f}, peak memory {peak:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
