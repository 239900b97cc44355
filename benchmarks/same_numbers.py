"""Whether two folders of `demo`, `tables` or `run` hold the same numbers, to the digit.

    python benchmarks/same_numbers.py OLD NEW

Every table (`predictions_*.csv`, `log.csv`, ...) and every JSON file of numbers that OLD holds is compared with NEW's:
cells of the same column, numbers of the same name. What differs or is gone is listed and ends with 1; what is new in
NEW is counted. Times and paths are left out, and so is what says with what a run was made.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

TABLES = ("*.csv",)
NUMBERS = ("metrics.json", "comparison.json", "numbers.json", "tables.json", "comparisons/*.json", "subgroups.json")
PASSING = ("path", "seconds", "revision", "environment", "about", "made", "versions")
SHOWN = 40


def main() -> int:
    """Compares and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    compared, different, gone, more = 0, [], [], 0
    for path in sorted(files(options.old)):
        name = path.relative_to(options.old)
        if not (options.new / name).is_file():
            gone.append(str(name))
            continue
        old, new = dict(values(path)), dict(values(options.new / name))
        more += len(set(new) - set(old))
        for place, value in old.items():
            if place not in new:
                gone.append(f"{name}: {place}")
            elif new[place] == value or (value != value and new[place] != new[place]):
                compared += 1
            else:
                different.append(f"{name}: {place}: {value!r} is now {new[place]!r}")
    for what, lines in (("differs", different), ("is gone", gone)):
        for line in lines[:SHOWN]:
            print(f"{what}: {line}")
        if len(lines) > SHOWN:
            print(f"... and {len(lines) - SHOWN} more")
    print(f"{compared} values are the same, {len(different)} differ, {len(gone)} are gone, {more} are new")
    return int(bool(different or gone))


def files(folder: Path) -> set[Path]:
    """The tables and files of numbers below a folder; studies and records, which are made before, are left out."""
    found = {path for pattern in (*TABLES, *(f"**/{name}" for name in NUMBERS)) for path in folder.rglob(pattern)}
    return {
        path
        for path in found
        if not any(part.startswith((".", "study", "prepared")) for part in path.relative_to(folder).parts)
    }


def values(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of every cell, or of every leaf of JSON."""
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
        for column in table:
            if column not in PASSING:
                yield from ((f"{column}, row {row + 2}", value) for row, value in enumerate(table[column]))
    else:
        yield from leaves(json.loads(path.read_text(encoding="utf-8")))


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and texts of JSON with their places; what a number is called (`how`) is prose and left out."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield where, value
        return
    for key, item in pairs:
        if key not in (*PASSING, "how"):
            yield from leaves(item, f"{where}.{key}".lstrip("."))


if __name__ == "__main__":
    sys.exit(main())
