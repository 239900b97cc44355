"""The page of `inspect`: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.files import write_text
from mammo_tf.imaging.near_copies import NearCopy
from mammo_tf.reporting.inspection import LEVELS, MOST_PAIRS, TAGS, Inspection, inspect_pictures
from mammo_tf.reporting.page import environment
from mammo_tf.reporting.palette import WIDTH, colour_of, dash_of, drawing, inline_svg
from mammo_tf.reporting.short_names import middle_out
from mammo_tf.study import LABELS, SPLITS, check_leakage
from mammo_tf.study.refusals import override_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEET = 96  # pictures
MOST_CURVES = 12
NAME_LETTERS = 60
COUNTED = ("modality", "view", "laterality", "density", "site")


def check_page_path(path: Path) -> None:
    """Refuses what is not a place for a page, before any work: `not_an_html_file`."""
    if path.suffix.lower() != ".html" or path.is_dir():
        sentence = f"a report is an HTML file, and {path} is not one"
        raise MammoError("not_an_html_file", sentence, "Name a file that ends in .html")


def inspect_into(
    path: str | Path, manifest: pd.DataFrame, source: str | Path, root: str | Path, workers: int, notes: Sequence[str]
) -> Inspection:
    """Looks at every picture of a manifest and writes the page; what leaks is on it, and refused by nobody here.

    Args:
        path: of the page.
        manifest: its rows.
        source: the manifest's file.
        root: data root.
        workers: processes.
        notes: where the labels come from, and what is doubtful about who is whose.

    Raises:
        MammoError: `not_an_html_file`, `disk_full`, `read_only`.
    """
    check_page_path(Path(path))
    found, leak = inspect_pictures(manifest, root, workers), ""
    try:
        check_leakage(manifest)
    except MammoError as error:
        leak = f"{error}."
    write_inspection(found, manifest, Path(source).name, path, leak, notes)
    return found


def write_inspection(
    found: Inspection, manifest: pd.DataFrame, name: str, path: str | Path, leak: str = "", notes: Sequence[str] = ()
) -> None:
    """Writes the page.

    Args:
        found: what was seen of the pictures.
        manifest: all rows.
        name: of the manifest.
        path: of the page.
        leak: what leaks between splits by what the table says; "" for nothing.
        notes: where the labels come from, and what is doubtful about who is whose.
    """
    page = environment().get_template("inspection.html")
    grey = found.grey()
    text = page.render(
        name=name,
        images=len(manifest),
        patients=int(manifest["patient_id"].nunique()),
        exams=int((manifest["exam_id"] != "").groupby(manifest["exam_id"]).any().sum()),
        notes=notes,
        counts=_counts(manifest),
        values=_values(manifest),
        tags=TAGS,
        machines=found.tag_table(),
        grey=inline_svg(grey_figure(grey), "grey", _words(grey)) if grey else None,
        machines_drawn=min(MOST_CURVES, len(grey)),
        leak=leak,
        of_splits=[_pair(found, one) for one in found.of_splits[:MOST_PAIRS]],
        of_patients=[_pair(found, one) for one in found.of_patients[:MOST_PAIRS]],
        pairs=(len(found.of_splits), len(found.of_patients)),
        doubts=found.doubts(),
        rejects=[{**reject._asdict(), "override": override_of(reject.code)} for reject in found.rejects],
        sheet=[_shown(found, at) for at in _evenly(len(found.rows))],
    )
    write_text(Path(path), text)


def grey_figure(grey: Mapping[str, NDArray[np.float64]]) -> Figure:
    """The mean histogram of the breast, a curve a machine.

    Args:
        grey: name -> shares of the breast's pixels at each level, `[levels]`.
    """
    with drawing(3.4, WIDTH * 1.7) as figure:
        axes = figure.subplots()
        middles = (np.arange(LEVELS) + 0.5) / LEVELS
        for number, (name, shares) in enumerate(list(grey.items())[:MOST_CURVES]):
            axes.plot(
                middles, shares * LEVELS, color=colour_of(number), linestyle=dash_of(number),
                label=middle_out(name, NAME_LETTERS),
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, None), xlabel="Grey level, 0 black, 1 white", ylabel="Density within the breast")
        axes.set_title("Grey levels by machine")
        figure.legend(loc="outside lower left", ncols=1, handlelength=2.6)
    return figure


def _words(grey: Mapping[str, NDArray[np.float64]]) -> str:
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    means = "; ".join(f"{name}: mean {float(shares @ middles):.2f}" for name, shares in grey.items())
    return f"Histograms of the breast by machine. {means}"


def _counts(manifest: pd.DataFrame) -> list[tuple[str, int, int, list[int]]]:
    """By split: patients, images, and images by label."""
    parts = [split for split in (*SPLITS, "") if (manifest["split"] == split).any()]
    rows = []
    for split in parts:
        part = manifest[manifest["split"] == split]
        of_label = [int((part["label"] == label).sum()) for label in (*LABELS, "")]
        rows.append((split or "none", int(part["patient_id"].nunique()), len(part), of_label))
    return rows


def _values(manifest: pd.DataFrame) -> list[tuple[str, str]]:
    found = []
    for column in COUNTED:
        counts = manifest[column].replace("", "unknown").value_counts()
        if list(counts.index) != ["unknown"]:
            found.append((column, ", ".join(f"{value} {count}" for value, count in counts.items())))
    return found


def _evenly(number: int) -> list[int]:
    return np.unique(np.linspace(0, max(0, number - 1), min(SHEET, number)).round().astype(int)).tolist()


def _pair(found: Inspection, pair: NearCopy) -> dict[str, Any]:
    return {"distance": f"{pair.distance:.3f}", "shown": [_shown(found, at) for at in pair[:2]]}


def _shown(found: Inspection, at: int) -> dict[str, str]:
    row, one = found.rows[at], found.looked[at]
    words = [str(row[column]) for column in ("laterality", "view", "label", "split") if row[column]]
    picture = base64.b64encode(one.thumbnail).decode()
    return {"image": str(row["image_id"]), "words": " ".join(words), "picture": f"data:image/jpeg;base64,{picture}"}
