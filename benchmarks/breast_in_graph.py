"""The breast in the served graph against the breast of `imaging.breast`, on phantoms and on real films.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/breast_in_graph.py

For each set of pictures: Dice of the two masks, seconds in the graph (two cores, traced before), and what it means for
scores: the gap of `serving.signature_gap` between the preset `default` in NumPy and in the graph, and between it and
the preset `graph` (a box by threshold, nothing masked), both by a random End2End whose scores spread; calls at the
median. Without the variable the films are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from mammo_tf.data import graph_breast, graph_preprocessing
from mammo_tf.imaging import Preprocessing, breast
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.models import end2end
from mammo_tf.phantom import make_study
from mammo_tf.reading import read
from mammo_tf.serving.signature_gap import compare
from mammo_tf.study import read_manifest

SIZE = (288, 224)
PHANTOM_PATIENTS, PHANTOM_SEED, PHANTOM_MM = 8, 21, 0.2
MACHINES = ("ffdm_site_1", "ffdm_site_2", "film_8bit")


def phantoms(machine: str, patients: int) -> list[np.ndarray]:
    """uint16 pictures of one machine."""
    with tempfile.TemporaryDirectory() as folder:
        make_study(folder, patients, (machine,), seed=PHANTOM_SEED, spacing_mm=PHANTOM_MM)
        paths = read_manifest(Path(folder) / "manifest.csv")["path"]
        return [as_uint16(read(Path(folder) / path).pixels) for path in paths]


def films(folder: Path) -> list[np.ndarray]:
    """uint16 pictures of a folder of PNG files."""
    return [as_uint16(read(path).pixels) for path in sorted(folder.glob("*.png"))]


def spreading(pictures: np.ndarray) -> keras.Model:
    """A random network whose last layer looks along the direction in which the features differ most."""
    keras.utils.set_random_seed(3)
    model = end2end("vgg16", "512x1", (*SIZE, 3), width=1 / 8)
    head = model.layers[-1]
    found = np.asarray(keras.Model(model.input, head.input).predict(pictures, verbose=0), np.float64)
    along = np.linalg.svd(found - found.mean(axis=0), full_matrices=False)[2][0]
    along *= 1.5 / (found @ along).std()
    head.set_weights([np.column_stack([np.zeros_like(along), along]), np.array([0.0, -(found @ along).mean()])])
    return model


def report(name: str, pictures: list[np.ndarray]) -> None:
    """Prints a line of Dice and seconds, and two of gaps."""
    full, box = (Preprocessing.preset(preset, SIZE) for preset in ("default", "graph"))
    spec = [tf.TensorSpec([None, None], tf.uint16)]
    segment = tf.function(lambda picture: graph_breast.segment(tf.cast(picture, tf.float32)), spec)
    prepare = tf.function(lambda picture: graph_preprocessing.preprocess(full, picture), spec)
    dice, seconds, inputs = [], [], []
    segment(tf.constant(pictures[0]))
    for picture in pictures:
        start = time.perf_counter()
        mask = segment(tf.constant(picture)).numpy()
        seconds.append(time.perf_counter() - start)
        expected = breast.segment(picture)
        if not expected.any():
            continue
        dice.append(2 * np.count_nonzero(mask & expected) / (np.count_nonzero(mask) + np.count_nonzero(expected)))
        inputs.append((full(picture), prepare(tf.constant(picture)).numpy(), box(picture)))
    print(
        f"{name}: {len(dice)} pictures, Dice median {np.median(dice):.5f}, lowest {min(dice):.5f}; "
        f"{np.median(seconds):.2f} s in the graph"
    )
    numpy_way, graph_way, box_way = (np.stack(way) for way in zip(*inputs, strict=True))
    model = spreading(numpy_way)
    scores, *others = (model.predict(way, verbose=0)[:, 1].astype(float) for way in (numpy_way, graph_way, box_way))
    for word, other in zip(("the breast in the graph", "a box by threshold instead"), others, strict=True):
        gap = compare(scores, other, float(np.median(scores)))
        told = "none" if gap.rank_correlation is None else f"{gap.rank_correlation:.4f}"
        changed = f"{gap.calls_changed or 0:.1%} of calls change"
        print(f"    {word}: rank correlation {told}, {changed}, largest difference {gap.largest_difference:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one machine, one patient")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for machine in MACHINES[:1] if options.quick else MACHINES:
        report(f"phantom {machine}", phantoms(machine, 1 if options.quick else PHANTOM_PATIENTS))
    real = os.environ.get("MAMMO_TF_REAL_DATA")
    if options.quick or not real:
        print("real films: left out", file=sys.stderr)
        return
    report("mini-MIAS", films(Path(real) / "mini_mias"))
    report("DDSM, tissue set", films(Path(real) / "ddsm_tissue" / "images"))


if __name__ == "__main__":
    main()
