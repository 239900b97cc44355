"""What `inspect` finds when it looks at every picture: tags and grey values by machine, copies, doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.fingerprint import fingerprint
from mammo_tf.imaging.near_copies import REMEDY, NearCopy, bits_of, copies_of_groupings, patient_line, split_line
from mammo_tf.imaging.off_the_picture import question_lines, questions, seen
from mammo_tf.reading import Picture, doubts, read_row
from mammo_tf.reporting.sheet import thumbnail
from mammo_tf.study import Reject

LEVELS = 64  # grey levels of a histogram
SEEN_ROWS = 512  # a picture is looked at with so many
THUMBNAIL_ROWS, QUALITY = 220, 80
MOST_PAIRS = 24  # of pictures that look the same, shown
TAGS = ("size", "bits", "spacing", "VOI", "polarity", "frames")
MACHINE = ("manufacturer", "model", "model_name", "software", "site", "modality")


class Looked(NamedTuple):
    """What is seen of one picture.

    Attributes:
        tags: what its header says, by `TAGS`.
        levels: int64 `[LEVELS]`, how many pixels of the breast have each grey level; of the whole picture without one.
        fingerprint: hexadecimal; see `imaging.fingerprint`.
        warnings: what is doubtful about it.
        thumbnail: JPEG.
    """

    tags: dict[str, str]
    levels: NDArray[np.int64]
    fingerprint: str
    warnings: tuple[str, ...]
    thumbnail: bytes


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        rows: of the manifest, those whose pictures can be read.
        looked: of each of them.
        rejects: the others.
        of_splits, of_patients: pairs that look the same, of different splits, and of different patients else; positions
            count `rows`.
    """

    rows: tuple[dict[str, Any], ...]
    looked: tuple[Looked, ...]
    rejects: tuple[Reject, ...]
    of_splits: tuple[NearCopy, ...]
    of_patients: tuple[NearCopy, ...]

    def check_copies(self) -> None:
        """Refuses pictures of different splits that look the same.

        Raises:
            MammoError: `copies_in_two_splits`.
        """
        line = split_line(self.of_splits, self.rows)
        if line:
            raise MammoError("copies_in_two_splits", line, REMEDY)

    def lines(self) -> list[str]:
        """What is found beyond leakage, a line each."""
        patients = patient_line(self.of_patients, self.rows)
        refused = f"{len(self.rejects)} of {len(self.rejects) + len(self.rows)} pictures cannot be read"
        told = [*([patients] if patients else []), *([refused] if self.rejects else [])]
        warnings = [one.warnings for one in self.looked]
        return [*told, *doubts(warnings), *question_lines(warnings)]

    def machines(self) -> dict[str, list[int]]:
        """Positions by machine: maker, model, software, site and modality, as far as they are told."""
        found: dict[str, list[int]] = {}
        for at, row in enumerate(self.rows):
            found.setdefault(machine_of(row), []).append(at)
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))

    def tag_table(self) -> list[tuple[str, int, int, dict[str, str]]]:
        """By machine: its name, patients, pictures, and its commonest values of each tag, with counts."""
        return [
            (name, len({self.rows[at]["patient_id"] for at in places}), len(places), self._tags(places))
            for name, places in self.machines().items()
        ]

    def _tags(self, places: Sequence[int]) -> dict[str, str]:
        return {tag: _commonest(self.looked[at].tags[tag] for at in places) for tag in TAGS}

    def grey(self) -> dict[str, NDArray[np.float64]]:
        """By machine: the mean over its pictures of the share of the breast's pixels at each level, `[LEVELS]`."""
        return {
            name: np.mean([self.looked[at].levels / max(1, self.looked[at].levels.sum()) for at in places], axis=0)
            for name, places in self.machines().items()
        }

    def doubts(self) -> list[tuple[str, int, str]]:
        """What is doubtful, how many pictures it is told of, and the first of them."""
        found: dict[str, list[str]] = {}
        for row, one in zip(self.rows, self.looked, strict=True):
            for word in dict.fromkeys(one.warnings):
                found.setdefault(word, []).append(str(row["image_id"]))
        order = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        return [(word, len(images), images[0]) for word, images in order]


def machine_of(row: Mapping[str, Any]) -> str:
    """What tells the machine of a row from others, in words."""
    words = [str(row.get(column) or "") for column in MACHINE]
    return ", ".join(word for word in words if word and word != "nan") or "not told"


def inspect_pictures(manifest: pd.DataFrame, root: str | Path, workers: int) -> Inspection:
    """Looks at every picture of a manifest, in worker processes; what cannot be read is a reject.

    Args:
        manifest: rows as `read_manifest` gives them.
        root: data root.
        workers: processes.
    """
    rows, looked, rejects = [], [], []
    asked = [{str(key): value for key, value in row.items()} for row in manifest.to_dict("records")]
    for row, found in each_file(partial(look, root=str(root)), asked, workers, "looking"):
        if isinstance(found, MammoError):
            rejects.append(Reject.of(str(row["path"]), found, Path(root) / str(row["path"])))
        else:
            rows.append(row)
            looked.append(found)
    prints = [one.fingerprint for one in looked]
    groupings = [[str(row[column]) for row in rows] for column in ("split", "patient_id")]
    of_splits, of_women = copies_of_groupings(bits_of(prints), groupings)
    torn = {pair[:2] for pair in of_splits}
    of_patients = [pair for pair in of_women if pair[:2] not in torn]
    return Inspection(tuple(rows), tuple(looked), tuple(rejects), tuple(of_splits), tuple(of_patients))


def look(row: Mapping[str, Any], root: str) -> Looked:
    """What is seen of the picture of a row; errors as `read_row`."""
    picture = read_row(row, root)
    pixels, facts = picture.pixels, picture.facts
    small = _small(pixels)
    breast = segment(small)
    inside = small[breast] if breast.any() else small.ravel()
    asked = () if facts.partial or not breast.any() else questions(seen(small, breast), facts.laterality, facts.view)
    told = [word for word in str(row.get("warnings") or "").split("; ") if word]
    shown = thumbnail(small, THUMBNAIL_ROWS)
    return Looked(
        _tags_of(picture, row),
        np.bincount(np.minimum((inside * LEVELS).astype(np.int64), LEVELS - 1), minlength=LEVELS),
        fingerprint(pixels).tobytes().hex(),
        tuple(dict.fromkeys((*told, *facts.warnings, *asked))),
        cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes(),
    )


def _small(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = pixels.shape
    if rows <= SEEN_ROWS:
        return pixels
    size = (max(1, round(columns * SEEN_ROWS / rows)), SEEN_ROWS)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # a mean of ones is 1.0000001 in float32
    return np.asarray(np.clip(small, 0, 1), np.float32)


def _tags_of(picture: Picture, row: Mapping[str, Any]) -> dict[str, str]:
    facts = picture.facts
    own = [row.get("spacing_row_mm"), row.get("spacing_column_mm")]
    known = [float(one) for one in own if isinstance(one, int | float) and one == one]
    spacing = tuple(known) if len(known) == 2 else facts.spacing_mm
    told = "" if spacing is None else " x ".join(f"{one:.3g}" for one in dict.fromkeys(spacing)) + " mm"
    return {
        "size": f"{picture.pixels.shape[0]} x {picture.pixels.shape[1]}",
        "bits": str(facts.bits),
        "spacing": told or "not told",
        "VOI": facts.voi,
        "polarity": facts.photometric if facts.modality else "not told",
        "frames": str(facts.frames),
    }


def _commonest(values: Iterable[str], shown: int = 3) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    words = [f"{value} ({count})" for value, count in counts.most_common(shown)]
    return ", ".join(words) + (f" and {len(counts) - shown} more" if len(counts) > shown else "")
