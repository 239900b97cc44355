"""OpenBreast's features of every image of a manifest: what `mammo-tf features` does.

A picture is read as `predict` reads it, its breast is segmented, in an MLO view the pectoral muscle is taken off where
its edge convinces, and the features are computed on round(65535 p), the levels of the thesis's tables. `Extraction`
says all of this as data; it lies next to the table and goes with a patient model, so that a new patient's features are
computed in the same way.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.claims import locked
from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.files import atomic_path, disk_errors, read_json, remove_halves, text_digest, write_json
from mammo_tf.guard import each_file
from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.levels import WHITE, as_uint16
from mammo_tf.imaging.pectoral import pectoral
from mammo_tf.radiomics import features
from mammo_tf.radiomics.density import check_pixel_size
from mammo_tf.radiomics.feature_journal import Journal, ViewFeatures, file_stamp
from mammo_tf.radiomics.openbreast import IN_MILLIMETRES, feature_names
from mammo_tf.radiomics.regions import inner_breast
from mammo_tf.radiomics.texture import COOCCURRENCE
from mammo_tf.reading import doubts, read_row
from mammo_tf.study import Reject, write_rejects
from mammo_tf.study.table_output import check_table_output, rejects_of

IDENTITY = ("image_id", "patient_id", "pair_id", "laterality", "view", "split", "label", "age")
SETS, REGIONS = ("34", "32"), ("breast", "inner")
FORMAT = 1  # of the stored settings


@dataclass(frozen=True)
class Extraction:
    """How features are computed.

    Attributes:
        names: the set, "34" or "32" (without `fdim` and `pd`, which need the size of a pixel).
        region: "breast", or "inner": eroded by 31x31 pixels, whatever their size, as the public extractor does.
        without_pectoral: the pectoral muscle of an MLO view is no part of the region, where its edge is found.
        white: the level of white; pictures are round(white p).
        cooccurrence, joined_runs, antialias: as for `radiomics.features`.
        format: of these settings.
    """

    names: str = "34"
    region: str = "breast"
    without_pectoral: bool = True
    white: int = WHITE
    cooccurrence: str = "2021"
    joined_runs: bool = True
    antialias: bool = True
    format: int = FORMAT

    def __post_init__(self) -> None:
        checks = (
            ("--set", self.names, SETS),
            ("--region", self.region, REGIONS),
            ("--cooccurrence", self.cooccurrence, tuple(COOCCURRENCE)),
        )
        for name, value, known in checks:
            if value not in known:
                raise MammoError("option_wrong", f"{name} {value!r} is unknown", f"Known are {', '.join(known)}")
        if (self.format, self.white) != (FORMAT, WHITE):
            told = f"format {self.format} with white at {self.white}"
            raise MammoError("extraction_unknown", f"features were extracted by {told}, which this version cannot do")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return feature_names(self.names, 1.0)

    @property
    def needs_spacing(self) -> bool:
        """Whether the size of a pixel must be known."""
        return any(name in self.columns for name in IN_MILLIMETRES)


def view_features(
    pixels: NDArray[np.float32], view: str, spacing_mm: tuple[float, float] | None, extraction: Extraction
) -> ViewFeatures:
    """Features of one picture as it was read.

    Args:
        pixels: float32 `[rows, columns]` in [0, 1], bright is dense.
        view: CC, MLO, ...
        spacing_mm: (row, column) of a pixel; None where it is not known.
        extraction: how.

    Raises:
        MammoError: `spacing_unknown`, `spacing_wrong`, `mask_empty`, `constant_pixels`, `pixels_wrong`;
            `feature_not_finite` where a feature does not exist for the picture.
    """
    if not extraction.needs_spacing:
        spacing_mm = None
    elif spacing_mm is None:
        what = " and ".join(IN_MILLIMETRES)
        sentence = f"{what} need the size of a pixel in mm, which is unknown"
        raise MammoError("spacing_unknown", sentence, "Give it in the manifest, or take --set 32")
    else:
        check_pixel_size(spacing_mm)
    mask, muscle = segment(pixels), None
    if extraction.without_pectoral and view == "MLO":
        found = pectoral(pixels, mask)
        muscle = found is not None
        mask = mask if found is None else mask & ~found
    if not mask.any():
        raise MammoError("mask_empty", "no breast stands out in the picture")
    if extraction.region == "inner":
        mask = inner_breast(mask)
        if not mask.any():
            raise MammoError("mask_empty", "nothing is left of the breast inside its rim of 15 pixels")
    values = features(
        as_uint16(pixels), mask, spacing_mm, extraction.names, extraction.cooccurrence, extraction.joined_runs,
        extraction.antialias,
    )  # fmt: skip
    wrong = [name for name, value in values.items() if not np.isfinite(value)]
    if wrong:
        raise MammoError("feature_not_finite", f"{', '.join(wrong)} cannot be computed in so small a region")
    return ViewFeatures(values, muscle)


def row_features(row: Mapping[str, Any], root: str, extraction: Extraction) -> ViewFeatures:
    """Features of one row of a manifest; runs in worker processes.

    The row's spacing counts before that of the file's header.

    Raises:
        MammoError: those of `read_row` and `view_features`.
    """
    picture = read_row(row, root)
    told = (float(row["spacing_row_mm"]), float(row["spacing_column_mm"]))
    spacing = picture.facts.spacing_mm if np.isnan(told).any() else told
    found = view_features(picture.pixels, row["view"] or picture.facts.view, spacing, extraction)
    return found._replace(warnings=picture.facts.warnings)


class Extracted(NamedTuple):
    """What `extract_features` left.

    Attributes:
        table: a row an image.
        rejects: files that cannot be used.
        output, rejects_path, settings_path: the files.
        doubts: lines about doubtful grey scales.
        sought, muscles: MLO views in which a pectoral muscle was looked for, and found and taken off.
    """

    table: pd.DataFrame
    rejects: tuple[Reject, ...]
    output: Path
    rejects_path: Path
    settings_path: Path
    doubts: tuple[str, ...]
    sought: int
    muscles: int


def extract_features(
    manifest: pd.DataFrame,
    root: str | Path,
    output: str | Path,
    extraction: Extraction = Extraction(),  # noqa: B008 - frozen
    workers: int = 1,
    source: str | Path | None = None,
) -> Extracted:
    """Features of every image that can be used, why not of every other one, and how: CSV, `<name>_rejects.csv`, JSON.

    Results are noted in `<output>.part` as they come; the same request, given again after a kill, continues there and
    ends with the bytes of a run that was never stopped. A picture that is another file by then, by its path, size or
    time of modification, is computed again.

    Args:
        manifest: rows as `read_manifest` gives them.
        root: data root of the manifest's paths.
        output: a file `*.csv`; `<name>.json` with the settings and `<name>_rejects.csv` lie next to it.
        extraction: how.
        workers: processes that read and compute, see `guard`.
        source: file of the manifest, which is not overwritten.

    Raises:
        MammoError: `nothing_usable` if no image can be used (rejects are written nevertheless); `folder_busy` while
            another process works on the same table; `disk_full`, `read_only`; those of `check_table_output`.
    """
    output = Path(output)
    check_table_output(output, () if source is None else (source,))
    rows = [{str(key): value for key, value in row.items()} for row in manifest.to_dict("records")]
    asked = {"extraction": to_json(extraction), "manifest": text_digest(manifest.to_csv(index=False))}
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with locked(output.with_name(f".{output.name}.lock"), output):
        remove_halves(output.parent, f".{output.stem}*")
        return _extracted(rows, root, output, extraction, workers, asked)


def _extracted(
    rows: list[dict[str, Any]],
    root: str | Path,
    output: Path,
    extraction: Extraction,
    workers: int,
    asked: dict[str, Any],
) -> Extracted:
    """The work of `extract_features`, which no other process does at the same time."""
    stamps = [file_stamp(row, root) for row in rows]
    journal = Journal(output.with_name(f"{output.name}.part"), asked, stamps, extraction.columns)
    todo = [number for number in range(len(rows)) if number not in journal.known]
    with closing(_computed([rows[number] for number in todo], str(root), extraction, workers)) as outcomes:
        for number, outcome in zip(todo, outcomes, strict=True):
            journal.note(number, outcome)
    found, rejects = [], []
    for number, row in enumerate(rows):
        outcome = journal.known[number]
        if isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            found.append(({name: row[name] for name in IDENTITY} | outcome.values, outcome))
    rejects_path = rejects_of(output)
    write_rejects(rejects, rejects_path)
    if not found:
        first = f"; the first: {rejects[0].sentence}" if rejects else ""
        sentence = f"none of {len(rejects)} images gives features{first}"
        raise MammoError("nothing_usable", sentence, f"See {rejects_path}")
    table = pd.DataFrame([row for row, _ in found], columns=[*IDENTITY, *extraction.columns])
    sought = sum(outcome.muscle is not None for _, outcome in found)
    muscles = sum(outcome.muscle is True for _, outcome in found)
    with atomic_path(output) as beside:
        table.to_csv(beside, index=False, lineterminator="\n")
    settings_path = output.with_suffix(".json")
    write_json(settings_path, asked | {"images": len(table), "mlo_views": sought, "pectoral_taken_off": muscles})
    journal.path.unlink(missing_ok=True)
    told = tuple(doubts(outcome.warnings for _, outcome in found))
    return Extracted(table, tuple(rejects), output, rejects_path, settings_path, told, sought, muscles)


def _computed(
    rows: list[dict[str, Any]], root: str, extraction: Extraction, workers: int
) -> Generator[ViewFeatures | Reject]:
    work = partial(row_features, root=root, extraction=extraction)
    with closing(each_file(work, rows, workers, "features")) as outcomes:
        for row, found in outcomes:
            place = str(row["path"])
            yield Reject.of(place, found, Path(root) / place) if isinstance(found, MammoError) else found


def stored_extraction(table: str | Path) -> Extraction | None:
    """How the features of a table were extracted, from the JSON file next to it; None where there is none.

    Raises:
        MammoError: `json_broken`, `extraction_unknown`, those of `fields.from_json`.
    """
    path = Path(table).with_suffix(".json")
    if not path.is_file():
        return None
    stored = read_json(path)
    return extraction_from_json(stored.get("extraction") if isinstance(stored, dict) else None)


def extraction_from_json(stored: Any) -> Extraction:
    """The settings as `to_json` gave them; errors as `fields.from_json`, and `extraction_unknown`."""
    return from_json(Extraction, stored, "extraction")
