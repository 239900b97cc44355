"""The names of the tables of public collections, so that a folder of another one can be told by what it looks like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mammo_tf.errors import MammoError

# Collection, and what a file of it is called; the first that fits counts.
_TELLTALES = (
    ("cbis-ddsm", r"(mass|calc)[-_ ]case[-_ ]description.*\.csv(\.gz)?"),
    ("inbreast", r"INbreast\.(csv|xlsx?)"),
    ("vindr-mammo", r".*(finding_annotations|breast-level_annotations)\.csv(\.gz)?"),
    ("bcs-dbt", r"BCS[-_ ]?DBT.*\.csv(\.gz)?"),
    ("cmmd", r"CMMD_clinicaldata.*\.(csv|xlsx)"),
    ("cdd-cesm", r"Radiology[-_ ]manual[-_ ]annotations.*\.(csv|xlsx)"),
    ("embed", r"EMBED_.*\.csv(\.gz)?"),
    ("mini-mias", r"mdb\d{3}\.(pgm|png)"),
)


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
    """The collection whose files these seem to be, by their names; "" where nothing tells."""
    names = {path.name for path in files}
    for collection, pattern in _TELLTALES:
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return collection
    return ""
