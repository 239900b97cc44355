"""Example pictures of a run, and where the network looked, for the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd

from mammo_tf.files import atomic_path, write_json
from mammo_tf.records import Records
from mammo_tf.study import Finding, findings_from_json, findings_to_json
from mammo_tf.training import Classification, ModelCard

LISTED = "examples.json"


def write_examples(
    model: keras.Model, records: Records, card: ModelCard, table: pd.DataFrame, folder: Path, count: int = 6
) -> None:
    """Writes pictures, maps and `examples.json` for the positives and negatives spread evenly over their scores.

    Args:
        model: a network; one that cannot say where it looked gives pictures without maps.
        records: where the pictures are.
        card: of the model: its preprocessing and its task are used.
        table: predictions of test, `image_id`, `label`, `score`.
        folder: of the run's figures.
        count: how many, half of them positive.
    """
    place = {image: position for position, image in enumerate(records.rows["image_id"])}
    rows = []
    for label in (1, 0):
        part = table[table["label"] == label].sort_values("score", ascending=False, kind="stable")
        chosen = np.unique(np.linspace(0, max(0, len(part) - 1), count // 2).round().astype(int))[: len(part)]
        for _, row in part.iloc[chosen].iterrows():
            rows.append(_example(model, records, card, place[row["image_id"]], row, folder))
    write_json(folder / LISTED, rows)


def _example(
    model: keras.Model, records: Records, card: ModelCard, position: int, row: pd.Series[Any], folder: Path
) -> dict[str, Any]:
    image = records.image(position)
    name = f"example_{position:05d}"
    steps, task = card.preprocessing or records.preprocessing, card.task or Classification()
    heat = task.evidence(model, steps.intensity(image.picture / np.float32(65535))[None])
    with atomic_path(folder / f"{name}.png") as beside:
        beside.write_bytes(cv2.imencode(".png", image.picture)[1].tobytes())
    if heat is not None:
        with atomic_path(folder / f"{name}.npy") as beside:
            np.save(beside, heat[0])
    found = []
    for finding, mask in zip(
        findings_from_json(str(image.row.get("findings") or "")), image.finding_masks, strict=True
    ):
        rows, columns = np.nonzero(mask)
        if rows.size:
            box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
            found.append(Finding(finding.kind, finding.label, box=box))
    side = f"{row['laterality']} {row['view']}".strip()
    return {
        "picture": f"{name}.png",
        "heatmap": None if heat is None else f"{name}.npy",
        "score": float(row["score"]),
        "findings": findings_to_json(found),
        "title": f"{image.row['label'] or 'no label'}, {side}",
    }


def read_examples(folder: Path) -> list[dict[str, Any]]:
    """What `write_examples` listed; nothing where there is nothing."""
    path = folder / LISTED
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []
