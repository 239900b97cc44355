"""The files of a folder tree, and whether two of them hold the same picture."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import escaped
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.read import file_kind
from mammo_tf.study import Reject
from mammo_tf.study.cells import leaves_root, outside

_CHUNK_BYTES = 1 << 20


def files_of(root: str | Path) -> list[Path]:
    """Everything below `root` that is not a folder, sorted; links to folders are not followed.

    Raises:
        MammoError: `folder_missing`, `folder_empty`, `unreadable`.
    """
    files, closed = _walked(Path(root))
    if closed:
        raise closed[0][1]
    return files


def _walked(root: Path) -> tuple[list[Path], list[tuple[Path, MammoError]]]:
    """Files as `files_of`, and the folders below the root that cannot be read, with why."""
    if not root.is_dir():
        raise MammoError("folder_missing", f"the folder {root} is not there")
    closed: list[tuple[Path, MammoError]] = []

    def keep(error: OSError) -> None:
        sentence = f"the folder {error.filename} cannot be read: {error.strerror}"
        closed.append((Path(error.filename), MammoError("unreadable", sentence, "Give the right to read it")))

    files = []
    for folder, folders, names in os.walk(root, onerror=keep):
        files += [Path(folder) / name for name in names]
        files += [Path(folder) / name for name in folders if (Path(folder) / name).is_symlink()]
    if closed and (closed[0][0] == root or not files):
        raise closed[0][1]
    if not files:
        raise MammoError("folder_empty", f"no file is in the folder {root}")
    return sorted(files), closed


def listed(root: str | Path) -> tuple[list[Path], list[Reject]]:
    """The files of `files_of` that a table can name, and the rejects of the others and of folders that cannot be read.

    Errors as `files_of`, but `unreadable` only where no file is found.
    """
    root = Path(root)
    files, closed = _walked(root)
    shut = [
        Reject(relative(path, root), error.code, "the folder cannot be read", error.remedy) for path, error in closed
    ]
    rejects = [not_text(relative(path, root)) or _outside(relative(path, root)) for path in files]
    return [path for path, reject in zip(files, rejects, strict=True) if reject is None], [
        *shut,
        *filter(None, rejects),
    ]


def relative(path: Path, root: Path) -> str:
    """The path of a file below the data root as manifests and rejects write it, with forward slashes."""
    return path.relative_to(root).as_posix()


def not_text(place: str) -> Reject | None:
    """The reject `path_not_text` of a file whose path has bytes that are no UTF-8, with them escaped; else None.

    A table in UTF-8 cannot name such a file. Archives that were packed in another encoding unpack to such names.
    """
    written = escaped(place)
    if written == place:
        return None
    reason, remedy = "the path is not UTF-8, so no table can name the file", "Rename it, or unpack its archive again"
    return Reject(written, "path_not_text", reason, remedy)


def _outside(place: str) -> Reject | None:
    """The reject of a file whose name is a path out of the data root on some system, such as `C:a.png`; else None."""
    if not leaves_root(place):
        return None
    error = outside(f"path {place!r}")
    return Reject(place, error.code, error.sentence, "Rename it")


def picture_digest(path: str | Path) -> str:
    """SHA-256 of the pixels as they are written in the file, so that a copy under another identifier is known again.

    Of a PNG, TIFF, PGM or JPEG it is that of the file. The same picture in another compression has another digest.

    Raises:
        MammoError: as `read`, but for what only shows when pixels are decoded.
    """
    path = Path(path)
    sums = hashlib.sha256()
    with refusals(path):
        if file_kind(path) == "picture":
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        with open_dicom(path) as file:
            if file.pixels is None:
                raise MammoError("no_pixels", "the file has no pixel data")
            sums.update(f"{file.header.unsigned('Rows')} x {file.header.unsigned('Columns')}".encode())
            for offset, length in file.pixels.fragments or ((file.pixels.offset, file.pixels.length),):
                file.stream.seek(offset)
                for begin in range(0, length, _CHUNK_BYTES):
                    sums.update(file.stream.read(min(_CHUNK_BYTES, length - begin)))
    return sums.hexdigest()
