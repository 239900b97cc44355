"""A sheet of a manifest's pictures, without scores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading import read_row
from mammo_tf.reporting.sheet import SheetPicture, check_sheet_path, thumbnail, write_sheet
from mammo_tf.study import Reject

SHOWN = 96  # pictures on the sheets
WORKERS = min(4, os.cpu_count() or 1)


def manifest_sheet(manifest: pd.DataFrame, root: str | Path, path: str | Path) -> list[Path]:
    """A sheet of up to 96 pictures of a manifest, evenly drawn, as they are read, without scores; what cannot be read
    is listed. Files are read in worker processes (`guard`).

    Raises:
        MammoError: `not_a_png`, `disk_full`, `read_only`.
    """
    check_sheet_path(Path(path))
    chosen = np.unique(np.linspace(0, len(manifest) - 1, min(SHOWN, len(manifest))).round().astype(int))
    pictures, rejects = [], []
    rows = manifest.iloc[chosen].to_dict("records")
    for row, outcome in each_file(partial(row_thumbnail, root=Path(root)), rows, WORKERS, "reading"):
        if isinstance(outcome, MammoError):
            rejects.append(Reject.of(row["path"], outcome, Path(root) / row["path"]))
        else:
            pictures.append(SheetPicture(outcome, picture_title(row, row["label"]), picture_name(row)))
    return write_sheet(path, pictures, f"{len(chosen)} of {len(manifest)} images", rejects)


def row_thumbnail(row: Mapping[Any, Any], root: Path) -> NDArray[np.uint8]:
    """The picture of a manifest row as a sheet shows it; errors as `read_row`."""
    return thumbnail(read_row(row, root).pixels)


def picture_title(row: Mapping[Any, Any], more: str = "") -> str:
    """`L CC`, and a word more."""
    return " ".join(word for word in (row["laterality"], row["view"], more) if word)


def picture_name(row: Mapping[Any, Any]) -> str:
    """The last folders and the file, which tell views of different exams apart."""
    return "/".join(Path(row["path"]).parts[-3:])
