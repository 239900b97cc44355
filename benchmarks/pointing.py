"""The pointing game: whether a classifier's maps point at the findings that a phantom planted.

    python benchmarks/pointing.py MODEL RECORDS [--split test] [--tolerance-mm 5]

MODEL is a `.keras` file or a run folder of a classifier, RECORDS a prepared folder. Looked at are pictures of the split
with a finding that the task looks for; shares are with 95 % intervals over patients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.graph_preprocessing import intensity
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import share_interval
from mammo_tf.evaluation.pointing import Pointing, pointing
from mammo_tf.models import activation_maps
from mammo_tf.records import Records, open_records
from mammo_tf.records.domain_statistics import prepared_spacings
from mammo_tf.training import ModelFile, load_model
from mammo_tf.training.gradient_maps import gradient_maps

MAPS: dict[str, Callable[[keras.Model, Any], NDArray[np.float32]]] = {
    "class activation": activation_maps, "Grad-CAM": gradient_maps,
}  # fmt: skip


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path)
    options.add_argument("records", type=Path)
    options.add_argument("--split", default="test")
    options.add_argument("--tolerance-mm", type=float, default=5.0)
    given = options.parse_args()
    model_file = load_model(given.model / "model.keras" if given.model.is_dir() else given.model)
    records = open_records(given.records)
    for name, maps in MAPS.items():
        rows, patients = played(model_file, records, given.split, given.tolerance_mm, maps)
        print(f"{name}: {len(rows)} pictures of {len(set(patients))} patients")
        print("| | share | 95 % |\n|---|---|---|")
        for title, values in columns(rows).items():
            kept = np.isfinite(values)
            found = share_interval(values[kept], np.ones(kept.sum()), np.asarray(patients)[kept], 2000, 0)
            print(f"| {title} | {found.value:.3f} | {found.low:.3f} to {found.high:.3f} |")


def columns(rows: list[Pointing]) -> dict[str, NDArray[np.float64]]:
    """What is averaged, by its title."""
    titles = (
        "hits",
        "hits of a point at random",
        "largest outside the breast",
        "of the map in the breast",
        "on the finding",
    )
    return dict(zip(titles, np.asarray(rows, np.float64).T, strict=True))


def played(
    model_file: ModelFile, records: Records, split: str, tolerance_mm: float, maps: Callable[..., NDArray[np.float32]]
) -> tuple[list[Pointing], list[str]]:
    """The game on every picture with a finding, and whose each is."""
    steps, task = model_file.preprocessing, model_file.card.task
    assert steps is not None and task is not None
    positions = records.positions(split)
    spacing = prepared_spacings(records.part(positions))
    rows, patients = [], []
    for number, position in enumerate(positions.tolist()):
        marks = records.marks(position)
        finding = marks.placed(task.wanted).any(axis=0)
        if not finding.any() or marks.breast_mask is None:
            continue
        picture = (records.picture(position) / np.float32(65535)).astype(np.float32)[None]
        values = intensity(steps, picture, marks.breast_mask[None] if steps.needs_breast else None).numpy()
        tolerance = tolerance_mm / (spacing[number] if spacing else 1.0)
        try:
            rows.append(pointing(maps(model_file.model, values)[0], finding, marks.breast_mask, tolerance))
        except MammoError as error:
            print(f"{marks.row['image_id']}: {error}")
            continue
        patients.append(marks.row["patient_id"])
    return rows, patients


if __name__ == "__main__":
    main()
