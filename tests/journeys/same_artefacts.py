"""Whether two folders of one command hold the same: to the byte where bytes are promised, else in what they say."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

LITTLE = 1e-6  # that a weight, a score or a measure may differ by
OF_THE_MOMENT = re.compile(
    r"second|waiting|time|when|date|created|_ms$|pid|host|sha256|digest|revision|serial|uuid|bom", re.I
)
BY_BEING_THERE = {".html", ".svg", ".md", ".pb", ".index"}  # hold times, or names that a library draws
LEFT_OUT = ("tensorboard", ".lock", "seconds.json")  # TensorBoard begins a file each time it is opened
MAY_SAY_TWICE = {"test_ledger.jsonl"}  # an answer that was seen and lost has been seen


def differences(mine: Path, theirs: Path, but: Collection[str] = ()) -> list[str]:
    """What a folder lacks, has beside, or says otherwise than the one that was not disturbed; file by file."""
    first, second = (set(_files(folder)) for folder in (mine, theirs))
    found = [f"{name}: is not there" for name in sorted(second - first)]
    found += [f"{name}: is there too" for name in sorted(first - second)]
    for name in sorted((first & second) - set(but)):
        found += [f"{name}: {text}" for text in _differs(mine / name, theirs / name, (str(mine), str(theirs)))]
    return found


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part in name for part in LEFT_OUT):
            yield name


def _differs(mine: Path, theirs: Path, folders: tuple[str, str]) -> list[str]:
    """At most three differences of two files; where each says its folder, both say the same."""
    kind = theirs.suffix
    if kind in BY_BEING_THERE:
        return [] if mine.stat().st_size else ["is empty"]
    if mine.read_bytes() == theirs.read_bytes():
        return []
    if kind == ".json":
        texts = list(_apart(json.loads(mine.read_text().replace(*folders)), json.loads(theirs.read_text())))
    elif kind == ".jsonl":
        texts = _lines_apart(mine, theirs)
    elif kind == ".csv":
        texts = list(_apart(_table(mine), _table(theirs)))
    elif kind == ".keras":
        texts = list(_arrays_apart(_weights(mine), _weights(theirs)))
    elif kind == ".npz":
        texts = list(_arrays_apart(_arrays(mine), _arrays(theirs)))
    elif kind == ".png":
        same = np.array_equal(cv2.imread(str(mine), -1), cv2.imread(str(theirs), -1))
        texts = [] if same else ["other pixels"]
    else:
        texts = ["other bytes"]
    return texts[:3]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _lines_apart(mine: Path, theirs: Path) -> list[str]:
    first, second = ([json.loads(line) for line in path.read_text().splitlines()] for path in (mine, theirs))
    if mine.name in MAY_SAY_TWICE:
        first = [line for number, line in enumerate(first) if not any(_same(line, one) for one in first[:number])]
    return list(_apart(first, second))


def _same(mine: Any, theirs: Any) -> bool:
    return not list(_apart(mine, theirs))


def _apart(mine: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Where two JSON values differ by more than `LITTLE`; what tells of the moment does not count."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys((*theirs, *mine)):
            if not OF_THE_MOMENT.search(key):
                yield from _apart(mine.get(key), theirs.get(key), f"{place}.{key}")
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from _apart(one, other, f"{place}[{number}]")
    elif not _equal(mine, theirs):
        yield f"{place or 'all'} is {str(mine)[:80]}, not {str(theirs)[:80]}"


def _equal(mine: Any, theirs: Any) -> bool:
    try:
        one, other = float(mine), float(theirs)
    except (TypeError, ValueError):
        return bool(mine == theirs)
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=LITTLE, abs_tol=LITTLE)


def _weights(path: Path) -> dict[str, np.ndarray]:
    model = keras.saving.load_model(path, compile=False)
    return {f"{number} {one.path}": np.asarray(one) for number, one in enumerate(model.weights)}


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _arrays_apart(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> Iterator[str]:
    if mine.keys() != theirs.keys():
        yield f"holds {sorted(mine.keys() ^ theirs.keys())[:4]} of one alone"
    for name in mine.keys() & theirs.keys():
        one, other = mine[name], theirs[name]
        if one.dtype == other.dtype == np.uint8:  # JSON
            yield from _apart(*(json.loads(state.tobytes()) for state in (one, other)), name)
        elif one.shape != other.shape or one.dtype != other.dtype:
            yield f"{name} has another shape or type"
        elif one.dtype.kind in "fc" and one.size and float(np.nanmax(np.abs(one - other))) > LITTLE:
            yield f"{name} differs by {float(np.nanmax(np.abs(one - other))):.2g}"
        elif one.dtype.kind not in "fc" and not np.array_equal(one, other):
            yield f"{name} differs"
