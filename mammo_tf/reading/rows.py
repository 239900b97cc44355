"""The picture of a manifest row: what every room reads that is given a table of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.reading.facts import Picture
from mammo_tf.reading.frames import frame
from mammo_tf.reading.grey_scale import stored_bits_of
from mammo_tf.reading.read import file_kind, read
from mammo_tf.study import resolve_path


def read_row(row: Mapping[str, Any], root: str | Path) -> Picture:
    """The picture of a row of a manifest; its laterality and view count before those of the file's header.

    Args:
        row: with `path`, and where they are known `laterality`, `view`, `stored_bits`, and `frame`, the number of a
            frame in the volume's true order, counted from 1.
        root: the data root that `path` is relative to.

    Raises:
        MammoError: `path_outside`, `file_missing`, `frame_missing`; those of `stored_bits_of` and `read`.
    """
    path = resolve_path(str(row["path"]), root)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    side, view = str(row.get("laterality") or "") or None, str(row.get("view") or "") or None
    return read_file(path, int(row.get("frame") or 0), side, view, stored_bits_of(row))


def read_file(
    path: Path,
    number: int = 0,
    laterality: str | None = None,
    view: str | None = None,
    stored_bits: int | None = None,
) -> Picture:
    """A picture, or one frame of a volume.

    Args:
        path: as for `read`.
        number: of the frame, in true order, counted from 1; 0 where none is named.
        laterality, view, stored_bits: as for `read`.

    Raises:
        MammoError: `frame_missing`; those of `read`.
    """
    if number > 1 and file_kind(path) == "dicom":
        return frame(path, number, laterality, view)
    if number > 1:
        raise MammoError("frame_missing", f"frame {number} is asked for, and the file is one picture")
    try:
        return read(path, laterality=laterality, view=view, stored_bits=stored_bits)
    except MammoError as error:
        if error.code != "volume":
            raise
        if number == 1:
            return frame(path, number, laterality, view)
        raise MammoError("volume", error.sentence, "Name one of them in the manifest's column frame") from error
