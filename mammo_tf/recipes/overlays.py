"""Test pictures of a run with the outlines of findings and calls, for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.data.streams import Masks
from mammo_tf.evaluation.segmentations import COLUMNS
from mammo_tf.files import atomic_path, read_json, write_json
from mammo_tf.recipes.run_folder import as_written
from mammo_tf.records import Records
from mammo_tf.records.prepare_image import reduced
from mammo_tf.reporting.examples import read_picture
from mammo_tf.reporting.overlays import Overlay, near_window, outlines
from mammo_tf.training.tasks.stored_masks import MASKS, mask_path

LISTED = "overlays.json"
FINDINGS, OTHERS = 16, 4  # pictures with a finding, and without
ROWS, NEAR_ROWS = 400, 320  # of what is stored, at most


def write_overlays(records: Records, masks: Masks, table: pd.DataFrame, folder: Path) -> None:
    """Writes `figures/overlay_*.png` and `figures/overlays.json` of a run folder whose masks are written.

    Shown are pictures of test with a finding, spread evenly over their Dice coefficients from the worst to the best,
    then those without one in which most is called.

    Args:
        records: where the pictures are.
        masks: what is true, by position.
        table: predictions, with the columns of `evaluation.segmentations`; nothing is written without them.
        folder: the run folder.

    Raises:
        MammoError: `file_missing`, `picture_broken` for a mask that is gone or damaged.
    """
    if not set(COLUMNS) <= set(table):
        return
    place = _places(records.rows)
    rows = [
        _written(records, masks, place[str(row["image_id"]), str(row.get("frame", ""))], row, folder)
        for row in _chosen(table[table["split"] == "test"]).to_dict("records")
    ]
    write_json(folder / "figures" / LISTED, rows)


def run_overlays(folder: Path) -> tuple[Overlay, ...]:
    """What `write_overlays` left in a run folder; nothing where there is nothing."""
    figures = folder / "figures"
    if not (figures / LISTED).is_file():
        return ()
    listed = read_json(figures / LISTED)
    with as_written(figures / LISTED):
        return tuple(
            Overlay(
                picture=figures / item["picture"],
                size=(int(item["size"][0]), int(item["size"][1])),
                truth=_outlines(item["truth"]),
                called=_outlines(item["called"]),
                near=figures / item["near"] if item["near"] else None,
                window=tuple(map(int, item["window"])) if item["window"] else None,  # type: ignore[arg-type]
                title=str(item["title"]),
                note=str(item["note"]),
            )
            for item in listed
        )


def _outlines(stored: Sequence[Any]) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(tuple((float(x), float(y)) for x, y in one) for one in stored)


def _places(rows: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Image and frame to place; an image of one row is found without its frame too."""
    found = {(str(image), ""): number for number, image in enumerate(rows["image_id"])}
    frames = zip(rows["image_id"], rows["frame"], strict=True)
    return found | {(str(image), str(frame)): number for number, (image, frame) in enumerate(frames)}


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    finding = table["tpr"].notna()
    worst = table[finding].sort_values("dsc", kind="stable")
    spread = np.unique(np.linspace(0, max(0, len(worst) - 1), FINDINGS).round().astype(int))[: len(worst)]
    others = table[~finding].sort_values(["false_clusters", "score"], ascending=False, kind="stable")
    return pd.concat([worst.iloc[spread], others.head(OTHERS)])


def _written(records: Records, masks: Masks, position: int, row: dict[Any, Any], folder: Path) -> dict[str, Any]:
    marks, picture = records.marks(position), records.picture(position)
    stored = read_picture(mask_path(folder / MASKS, marks.row["image_id"], marks.row["frame"] or ""))
    truth, called = masks(position), reduced(stored > 0, marks.size, marks.affine)
    window = near_window(truth if truth.any() else called)
    name, white = f"overlay_{position:05d}", max(float(np.percentile(picture, 99.9)), 1.0)
    _write_grey(folder / "figures" / f"{name}.png", picture, white, ROWS)
    if window is not None:
        left, top, right, bottom = window
        _write_grey(folder / "figures" / f"{name}_near.png", picture[top:bottom, left:right], white, NEAR_ROWS)
    side = f"{row['laterality']} {row['view']}".strip()
    return {
        "picture": f"{name}.png",
        "near": None if window is None else f"{name}_near.png",
        "size": list(marks.size),
        "window": None if window is None else list(window),
        "truth": outlines(truth),
        "called": outlines(called),
        "title": f"{marks.row['label'] or 'no label'}, {side}",
        "note": _note(row),
    }


def _note(row: dict[Any, Any]) -> str:
    """How well it was found, in words."""
    if not np.isfinite(row["dsc"]):
        return "nothing to find, nothing called"
    if not np.isfinite(row["tpr"]):
        area = f", {row['false_area_mm2']:.1f} mm²" if np.isfinite(row["false_area_mm2"]) else ""
        return f"nothing to find, called{area}"
    if not np.isfinite(row["precision"]):
        return "missed: nothing called"
    distance = f"HD {row['hd']:.1f} mm" if np.isfinite(row["hd"]) else "spacing unknown"
    return f"Dice {row['dsc']:.2f}, {distance}"


def _write_grey(path: Path, picture: NDArray[np.uint16], white: float, rows: int) -> None:
    """An 8-bit copy, reduced to at most `rows` rows."""
    pixels: NDArray[Any] = picture.astype(np.float32)
    height, width = pixels.shape
    if height > rows:
        pixels = cv2.resize(pixels, (max(1, round(width * rows / height)), rows), interpolation=cv2.INTER_AREA)
    grey = np.clip(pixels / white * 255, 0, 255).round().astype(np.uint8)
    with atomic_path(path) as beside:
        beside.write_bytes(cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
