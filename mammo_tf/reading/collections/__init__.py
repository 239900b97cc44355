"""Collections: plug-ins that turn the files and tables of a collection into manifest rows.

A plug-in is a module `<name>.py` here with one function `rows(root)`, which yields a dictionary of manifest columns
for each image that can be used, and a `Reject` for every other file it sees. On the command line underscores are
dashes (`mini-mias`).
"""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.study import Reject, make_manifest
from mammo_tf.study.cells import MISSING
from mammo_tf.study.manifest import IDENTIFIERS


def names() -> list[str]:
    """The collections that are known, as the command line writes them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def options_of(name: str) -> list[str]:
    """What a collection's plug-in takes next to the root.

    Raises:
        MammoError: `collection_unknown`.
    """
    return list(inspect.signature(_plug_in(name).rows).parameters)[1:]


def _plug_in(name: str) -> ModuleType:
    if name.replace("_", "-") not in names():
        raise MammoError("collection_unknown", f"the collection {name!r} is unknown", f"Known are {', '.join(names())}")
    return import_module(f"{__name__}.{name.replace('-', '_')}")


def collect(name: str, root: str | Path, **options: Any) -> tuple[pd.DataFrame, list[Reject]]:
    """The manifest of a collection, and the files that cannot be used; every file seen is in one of the two.

    Args:
        name: one of `names()`; dashes and underscores are the same.
        root: folder of the collection, the data root of the manifest's paths.
        options: what the plug-in takes next to the root, such as `labels` of `folder`.

    Raises:
        MammoError: `collection_unknown`, `option_unknown`, `folder_missing`, `folder_empty`, and those of the
            plug-in, about its tables.
    """
    rows, taken = _plug_in(name).rows, options_of(name)
    unknown = sorted(set(options) - set(taken))
    if unknown:
        remedy = f"It takes {', '.join(taken)}" if taken else "It takes none"
        raise MammoError("option_unknown", f"the collection {name} takes no option {unknown[0]!r}", remedy)
    found = [row if isinstance(row, Reject) else _somebodys(row) for row in rows(Path(root), **options)]
    return make_manifest([row for row in found if not isinstance(row, Reject)]), [
        row for row in found if isinstance(row, Reject)
    ]


def _somebodys(row: dict[str, Any]) -> dict[str, Any] | Reject:
    """The row, or a reject where no manifest may hold it: neither table nor header says whose picture it is."""
    for column in IDENTIFIERS:
        word = str(row.get(column, ""))
        if word in MISSING or (not word and column == "patient_id"):
            said = f"{column} is {word!r}, which programs write for a missing value" if word else f"no {column}"
            return Reject(row["path"], "patient_missing", said, "Correct the table, or fetch it again")
    return row
