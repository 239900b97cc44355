"""A sheet of a manifest's pictures, without scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.progress import track
from mammo_tf.reading import read
from mammo_tf.reporting.sheet import SheetPicture, check_sheet_path, thumbnail, write_sheet
from mammo_tf.study import Reject

SHOWN = 96  # pictures on the sheets


def manifest_sheet(manifest: pd.DataFrame, root: str | Path, path: str | Path) -> list[Path]:
    """A sheet of up to 96 pictures of a manifest, evenly drawn, as they are read, without scores; what cannot be read
    is listed.

    Raises:
        MammoError: `not_a_png`, `disk_full`, `read_only`.
    """
    check_sheet_path(Path(path))
    chosen = np.unique(np.linspace(0, len(manifest) - 1, min(SHOWN, len(manifest))).round().astype(int))
    pictures, rejects = [], []
    for row in track(manifest.iloc[chosen].to_dict("records"), "reading", total=len(chosen)):
        try:
            pixels = read(
                Path(root) / row["path"], laterality=row["laterality"] or None, view=row["view"] or None
            ).pixels
        except MammoError as error:
            rejects.append(Reject(row["path"], error.code, error.sentence))
            continue
        pictures.append(SheetPicture(thumbnail(pixels), picture_title(row, row["label"]), picture_name(row)))
    return write_sheet(path, pictures, f"{len(chosen)} of {len(manifest)} images", rejects)


def picture_title(row: Mapping[Any, Any], more: str = "") -> str:
    """`L CC`, and a word more."""
    return " ".join(word for word in (row["laterality"], row["view"], more) if word)


def picture_name(row: Mapping[Any, Any]) -> str:
    """The last folders and the file, which tell views of different exams apart."""
    return "/".join(Path(row["path"]).parts[-3:])
