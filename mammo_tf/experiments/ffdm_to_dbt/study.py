"""The two modalities behind the experiment: the synthetic study, or a manifest that has both."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.experiments.ffdm_to_dbt.recipes import DBT, FFDM, SITES, PaperSize
from mammo_tf.guard import each_file
from mammo_tf.imaging import Preprocessing
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.reading import inspect_file, volume_facts
from mammo_tf.records import prepare
from mammo_tf.study import SPLITS, positive, resolve_path


def synthetic_study(folder: Path, size: PaperSize, seed: int, workers: int) -> pd.DataFrame:
    """Women with mammograms alone, for training, and women with both modalities in every split; the manifest."""
    groups = [PatientGroup("mammograms_only", size.mammograms_only, (SITES[FFDM],), "train")]
    groups += [
        PatientGroup(f"both_{split}", count, tuple(SITES.values()), split)
        for split, count in zip(SPLITS, size.both, strict=True)
    ]
    return make_study(
        folder, groups, tuple(SITES.values()), seed, size.spacing_mm, conspicuity=CONSPICUOUS, workers=workers
    )


def with_both(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with patients of validation and test who have one modality alone left out.

    Raises:
        MammoError: `modality_missing` where a split lacks a modality, `class_missing` where it has one class of it.
    """
    modalities = manifest[manifest["modality"].isin([FFDM, DBT])]
    counts = modalities.groupby("patient_id")["modality"].nunique()
    whole = set(counts.index[counts == 2])
    kept = modalities[(modalities["split"] == "train") | modalities["patient_id"].isin(whole)]
    kept = kept[kept["split"] != ""].reset_index(drop=True)
    for split in SPLITS:
        for modality in (FFDM, DBT):
            part = kept[(kept["split"] == split) & (kept["modality"] == modality)]
            where = f"split {split} has no patient with {modality} images and those of the other modality"
            if part.empty:
                raise MammoError("modality_missing", where, "List both modalities of the same patients, and split")
            if len(set(positive(part["label"]).tolist())) < 2:
                raise MammoError(
                    "class_missing", f"the {modality} images of split {split} are of one class", "Split again"
                )
    return kept


def prepare_modality(
    manifest: pd.DataFrame, root: Path, folder: Path, modality: str, size: PaperSize, workers: int
) -> Path:
    """Records of one modality at the pixels of its images, volumes as their maximum projection; returns the folder.

    Args:
        manifest: of both.
        root: data root.
        folder: of the records.
        modality: FFDM or DBT.
        size: of patches; larger ones are stored in tiles.
        workers: processes.
    """
    rows = manifest[manifest["modality"] == modality].reset_index(drop=True)
    steps = Preprocessing.preset("native", canvas(rows, root, workers), mean=0.0, channels=1)
    prepare(rows, root, folder, steps, workers, tile=512 if size.patch >= 256 else None)
    return folder


def canvas(rows: pd.DataFrame, root: Path, workers: int) -> tuple[int, int]:
    """Rows and columns that hold every image of a table, by their headers; files that cannot be read do not count.

    Raises:
        MammoError: `nothing_usable` where none can be read.
    """
    named = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
    outcomes = each_file(partial(_size, root=str(root)), named, workers, "reading headers")
    sizes = [found for _, found in outcomes if not isinstance(found, MammoError)]
    if not sizes:
        raise MammoError("nothing_usable", f"none of {len(rows)} images can be read", "Look at mammo-tf inspect")
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def _size(row: Mapping[str, str], root: str) -> tuple[int, int]:
    path = resolve_path(row["path"], root)
    facts = volume_facts(path) if path.is_dir() else inspect_file(path, for_processing=True)
    return facts.rows, facts.columns
