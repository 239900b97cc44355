"""Files that cannot be used, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mammo_tf.files import atomic_path


class Reject(NamedTuple):
    """A file that was seen and cannot be used: its path, a short stable code, and the reason in words."""

    path: str
    code: str
    reason: str


def write_rejects(rejects: Iterable[Reject], path: str | Path) -> int:
    """Writes `rejects.csv` (UTF-8, columns path, code, reason, sorted by path) and returns how many there are."""
    rows = sorted(rejects)
    with atomic_path(path) as beside:
        pd.DataFrame(rows, columns=list(Reject._fields)).to_csv(beside, index=False)
    return len(rows)
