"""Warm `predict` for one exam of four full-size views, and the share of it that is not the network.

    python benchmarks/predict_exam.py [--size 3328x2560]

One phantom exam is enlarged to the size of a real detector and written as uncompressed DICOM of 14 bits; the network is
End2End VGG16 512x1 at full width and 1152x896, its weights random (they cost the same as trained ones). `predict` runs
as from the command line but for the start of the program: files are found, read, prepared, scored, the table is
written. It is called once unmeasured, then `--rounds` times for each preset in turn. The preparation alone (read and
`geometry`, one view after the other, one thread) is timed next to it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import machine, median, processor_seconds, spread

PRESETS = ("legacy", "default")


def make_exam(folder: Path, size: tuple[int, int], spacing_mm: float) -> list[Path]:
    """Four DICOM views of one woman, `size` rows and columns each, and their paths."""
    import pydicom

    from mammo_tf.phantom import make_study

    manifest = make_study(folder / "phantom", 1, ["ffdm_site_1"], seed=5, spacing_mm=spacing_mm, workers=1)
    (folder / "exam").mkdir()
    paths = []
    for place in manifest["path"]:
        data_set = pydicom.dcmread(folder / "phantom" / place)
        enlarged = cv2.resize(data_set.pixel_array, size[::-1], interpolation=cv2.INTER_CUBIC)
        highest = (1 << data_set.BitsStored) - 1
        enlarged = np.minimum(enlarged, highest).astype(data_set.pixel_array.dtype)
        data_set.Rows, data_set.Columns = size
        data_set.PixelData = enlarged.tobytes()
        paths.append(folder / "exam" / Path(place).name)
        data_set.save_as(paths[-1])
    return paths


def write_model(path: Path, preset: str, size: tuple[int, int], width: float) -> None:
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.training import save_model

    model = end2end(input_shape=(*size, 3), width=width)
    save_model(path, model, Preprocessing.preset(preset, size))


def preparation(paths: list[Path], preset: str, size: tuple[int, int]) -> tuple[float, float]:
    """Seconds of reading and of the geometry half for all views, one thread."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.reading import read

    preprocessing = Preprocessing.preset(preset, size)
    reading = preparing = 0.0
    for path in paths:
        start = time.perf_counter()
        picture = read(path)
        between = time.perf_counter()
        preprocessing.geometry(picture.pixels)
        reading, preparing = reading + between - start, preparing + time.perf_counter() - between
    return reading, preparing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="3328x2560", help="rows and columns of the stored views")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows, columns = (int(number) for number in arguments.size.split("x"))
    size, width, spacing_mm = (1152, 896), 1.0, 0.2
    if arguments.quick:
        rows, columns, size, width, spacing_mm, arguments.rounds = 480, 360, (128, 128), 0.0625, 1.0, 1
    found: dict[str, dict[str, list[float]]] = {preset: {} for preset in PRESETS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_exam(folder, (rows, columns), spacing_mm)
        for preset in PRESETS:
            write_model(folder / f"{preset}.keras", preset, size, width)
        for number in range(arguments.rounds + 1):
            for preset in PRESETS:
                one = measured(folder, preset, paths, size)
                for key, value in one.items() if number else ():
                    found[preset].setdefault(key, []).append(value)
    print(f"four views of {rows}x{columns}, network at {size[0]}x{size[1]}; medians, seconds")
    for preset, values in found.items():
        middle = {key: median(each) for key, each in values.items()}
        print(
            f"{preset:8} exam {middle['seconds']:.2f} ({spread(values['seconds'])}), cpu {middle['processor']:.2f}, "
            f"network {middle['network']:.2f}, not the network {100 * middle['share']:.1f} %; alone: "
            f"reading {middle['reading']:.2f}, preparing {middle['preparing']:.2f}; "
            f"opening the model {middle['opening']:.2f}"
        )
    print(machine("tensorflow", "keras", "pydicom", "opencv-python-headless"))
    return 0


def measured(folder: Path, preset: str, paths: list[Path], size: tuple[int, int]) -> dict[str, float]:
    from mammo_tf.serving.predict import predict

    start, busy = time.perf_counter(), processor_seconds()
    report: Any = predict(folder / f"{preset}.keras", folder / "exam", folder / f"{preset}.csv")
    whole, processor = time.perf_counter() - start, processor_seconds() - busy
    if report.images != len(paths):
        raise SystemExit(f"{report.images} of {len(paths)} views were scored: see {report.rejects_path}")
    reading, preparing = preparation(paths, preset, size)
    return {
        "seconds": report.seconds,
        "processor": processor,
        "network": report.network_seconds,
        "share": 1 - report.network_seconds / report.seconds,
        "opening": whole - report.seconds,
        "reading": reading,
        "preparing": preparing,
    }


if __name__ == "__main__":
    sys.exit(main())
