"""What the tables of public collections are called, and their headers, so that a folder of another one is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.reading.collection_tables import header_of, is_table

# Collection, and what a file of it is called; the first that fits counts.
_TELLTALES = (
    ("cbis-ddsm", r"(mass|calc)[-_ ]case[-_ ]description.*\.csv(\.gz)?"),
    ("inbreast", r"INbreast\.(csv|xlsx?)"),
    ("vindr-mammo", r".*(finding_annotations|breast-level_annotations)\.csv(\.gz)?"),
    ("bcs-dbt", r"BCS[-_ ]?DBT.*\.csv(\.gz)?"),
    ("cmmd", r"CMMD_clinicaldata.*\.(csv|xlsx)"),
    ("cdd-cesm", r"Radiology[-_ ](manual[-_ ]annotations|hand[-_ ]drawn[-_ ]segmentations).*\.(csv|xlsx)"),
    ("embed", r"EMBED_OpenData.*\.csv(\.gz)?"),
    ("ddsm", r"[A-D]-\d{4}-\d\.ics"),
    ("mini-mias", r"mdb\d{3}\.(pgm|png)"),
)
# What tables are recognised by whose names tell nothing.
CMMD = ("ID1", "LeftRight", "classification")
RSNA = ("site_id", "patient_id", "image_id", "laterality", "view", "machine_id")
BMCD = ("dir", "biopsy_result", "folder_type")
EMBED_CLINICAL = ("empi_anon", "acc_anon", "side", "asses")
EMBED_METADATA = ("empi_anon", "acc_anon", "anon_dicom_path")
CDD_CESM = ("Image_name", "Patient_ID", "Pathology Classification/ Follow up")
KAU_BCMD = ("PatientID", "Breast view", "Assesment", "Image path")
_HEADERS = (
    ("cmmd", CMMD), ("rsna-2022", RSNA), ("bmcd", BMCD), ("embed", EMBED_METADATA), ("embed", EMBED_CLINICAL),
    ("cdd-cesm", CDD_CESM), ("kau-bcmd", KAU_BCMD),
)  # fmt: skip


def table_missing(root: str | Path, files: Sequence[Path], collection: str, remedy: str) -> MammoError:
    """The error for a folder without the tables of a collection, with the other one that it looks like.

    Args:
        root: where the tables were looked for.
        files: below it.
        collection: as the command line writes it.
        remedy: what the tables are called and where they are had.
    """
    looks = looks_like(files)
    other = looks if looks and looks != collection else ""
    seems = f"; the folder looks like {other}" if other else ""
    sentence = f"{root} has no table of {collection}{seems}"
    return MammoError("table_missing", sentence, f"mammo-tf manifest {other} {root}" if other else remedy)


def looks_like(files: Sequence[Path]) -> str:
    """The collection whose files these seem to be, by their names, else by headers; "" where nothing tells."""
    names = {path.name for path in files}
    for collection, pattern in _TELLTALES:
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return collection
    headers = [set(header_of(path)) for path in files if is_table(path)]
    return next((one for one, columns in _HEADERS if any(set(columns) <= header for header in headers)), "")
