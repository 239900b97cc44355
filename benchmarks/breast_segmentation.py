"""Breast and pectoral muscle against the expert masks of twelve films, next to a plain threshold.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/breast_segmentation.py

IoU of the breast with the pectoral muscle, Dice of the muscle alone (0 where none was found), milliseconds on the film
enlarged to 4096 rows. The plain threshold is 20 of 255 and the largest part.

The setting that these films have a say in (`RISE`) was chosen on them. So the mean IoU is also given held out: for
every way of choosing it on six films its mean on the other six, and for each film the one chosen on the other eleven.

At last the phantom's films, 12 bits and 8 bits (plate edge, lettering, borders, scratches), whose truth is known; and
the 8-bit machine with a digitiser that is full at density 2.8, which clips the skin line to black, with what could be
done about it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from mammo_tf.files import read_json
from mammo_tf.imaging import breast as breast_module
from mammo_tf.imaging.breast import largest_part, segment, side_agrees
from mammo_tf.imaging.pectoral import pectoral
from mammo_tf.phantom import Machine, load_machine, make_study
from mammo_tf.reading import read

BACKGROUND, MUSCLE = 64, 255
RISES = (0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.12)
PHANTOM_PATIENTS, PHANTOM_SEED, PHANTOM_MM = 10, 21, 0.4
CLIPPING_DENSITY = 2.8
Segmentation = Callable[[np.ndarray], np.ndarray]


def films(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, picture and label, uint8 `[rows, columns]` each."""
    for path in sorted((folder / "ddsm_tissue" / "images").glob("*.png")):
        label = folder / "ddsm_tissue" / "labels" / f"{path.stem}_LI.png"
        yield path.stem, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth)


def dice(mask: np.ndarray | None, truth: np.ndarray) -> float:
    if mask is None:
        return 0.0
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def measure(folder: Path) -> list[tuple[str, float, float, float, bool | None, float]]:
    """Per film: name, IoU, IoU of the threshold, Dice of the muscle, right breast hung as one, milliseconds."""
    table = []
    for name, picture, label in films(folder):
        mask = segment(picture)
        large = cv2.resize(picture, (picture.shape[1] * 4096 // picture.shape[0], 4096))
        start = time.perf_counter()
        segment(large)
        milliseconds = 1000 * (time.perf_counter() - start)
        plain = iou(largest_part(picture > 20), label > BACKGROUND)
        muscle = dice(pectoral(picture, mask), label == MUSCLE)
        row = (name, iou(mask, label > BACKGROUND), plain, muscle, side_agrees(mask, "R"), milliseconds)
        table.append(row)
    return table


def held_out(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean IoU of six films by the rise chosen on the other six, in 924 ways; IoU of each by the other eleven's."""
    rows = []
    for rise in RISES:
        with mock.patch.object(breast_module, "RISE", rise):
            rows.append([iou(segment(picture), label > BACKGROUND) for _, picture, label in films(folder)])
    table = np.array(rows)
    everything = range(table.shape[1])
    halves = []
    for chosen in itertools.combinations(everything, len(everything) // 2):
        others = [film for film in everything if film not in chosen]
        halves.append(table[table[:, list(chosen)].mean(axis=1).argmax()][others].mean())
    single = [table[np.delete(table, film, axis=1).mean(axis=1).argmax(), film] for film in everything]
    return np.array(halves), np.array(single)


def phantom_films(machine: Machine) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures of a film machine and the truth, bool `[rows, columns]`."""
    with tempfile.TemporaryDirectory() as folder:
        make_study(folder, PHANTOM_PATIENTS, [machine], PHANTOM_SEED, PHANTOM_MM, workers=1)
        for path in sorted(Path(folder).glob("exams/*/*/*.dcm")):
            truth = read_json(path.parent / "truth.json")["images"][path.stem]
            outline = np.zeros((truth["rows"], truth["columns"]), np.uint8)
            cv2.fillPoly(outline, [np.array(truth["breast"], np.int32)], 1)
            yield read(path).pixels, outline > 0


def widened_mask(picture: np.ndarray) -> np.ndarray:
    """The breast, widened by 2 of 512 rows."""
    size = 2 * round(2 * picture.shape[0] / 512) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(segment(picture).astype(np.uint8), disc) > 0


def fainter_rim(picture: np.ndarray) -> np.ndarray:
    """The breast, the rim of flat backgrounds taken from 0.4 % of the way to white on instead of 1.5 %."""
    with mock.patch.object(breast_module, "RISE_FLAT", 0.004):
        return segment(picture)


def measure_phantom() -> dict[str, dict[str, list[float]]]:
    """IoU of each film, by machine and way."""
    eight = load_machine("film_8bit")
    assert eight.film is not None
    clipping = dataclasses.replace(eight.film, digitiser_density=CLIPPING_DENSITY)
    machines = {
        "film, 12 bits": load_machine("film"),
        "film, 8 bits": eight,
        f"full at {CLIPPING_DENSITY}": dataclasses.replace(eight, film=clipping),
    }
    ways: dict[str, Segmentation] = {"as it is": segment, "fainter rim": fainter_rim, "widened": widened_mask}
    table: dict[str, dict[str, list[float]]] = {name: {way: [] for way in ways} for name in machines}
    for name, machine in machines.items():
        for picture, truth in phantom_films(machine):
            for way, function in ways.items():
                table[name][way].append(iou(function(picture), truth))
    return table


def main() -> int:
    if "MAMMO_TF_REAL_DATA" not in os.environ:
        print("MAMMO_TF_REAL_DATA names no folder", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    folder = Path(os.environ["MAMMO_TF_REAL_DATA"])
    table = measure(folder)
    print(f"{'film':24} {'IoU':>6} {'plain':>6} {'muscle':>6} {'hung':>5} {'ms':>5}")
    for name, breast, plain, muscle, hung, milliseconds in table:
        print(f"{name:24} {breast:6.3f} {plain:6.3f} {muscle:6.3f} {hung!s:>5} {milliseconds:5.0f}")
    for what, which in (("mean", np.mean), ("worst", np.min)):
        breast, plain, muscle = (which([row[column] for row in table]) for column in (1, 2, 3))
        print(f"{what:24} {breast:6.3f} {plain:6.3f} {muscle:6.3f}")
    halves, single = held_out(folder)
    low, high = np.percentile(halves, (2.5, 97.5))
    print(f"rise chosen on six films, mean IoU of the other six: {halves.mean():.3f} ({low:.3f} to {high:.3f})")
    print(f"rise chosen on eleven films, IoU of the twelfth: mean {single.mean():.3f}, worst {single.min():.3f}")
    for name, ways in measure_phantom().items():
        each = ", ".join(f"{way} {np.mean(found):.3f} (worst {min(found):.3f})" for way, found in ways.items())
        print(f"phantom, {name}, {len(ways['as it is'])} films: {each}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
