"""The identities planted in golden/dicom (`canaries.json`), and a search for them in every byte of what is written."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden" / "dicom"
CANARIES: list[dict[str, Any]] = json.loads((GOLDEN / "canaries.json").read_text())["canaries"]
FILES = sorted({canary["file"] for canary in CANARIES})
SHORTEST = 5  # bytes of a part of a name that is looked for by itself
DEEPEST = 4  # archives in archives
LARGEST = 64 << 20  # bytes that one stream is unfolded to
BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


def copies(folder: Path) -> list[Path]:
    """All planted files, under names that tell nothing."""
    folder.mkdir(parents=True)
    return [Path(shutil.copy(GOLDEN / file, folder / f"{number:02d}.dcm")) for number, file in enumerate(FILES)]


@cache
def planted(ours: tuple[str, ...] = ()) -> re.Pattern[bytes]:
    """Every planted string, whole and in parts, in the forms in which a file may hold it.

    Args:
        ours: further words that must not turn up.
    """
    texts, raw = {*ours}, set()
    for canary in CANARIES:
        if canary["element"] != "file name":  # a path is the user's own word
            texts |= {canary["string"], *re.split(r"[\^= ]", canary["string"])}
            raw |= {bytes.fromhex(canary.get("bytes", ""))}
    dates = {text for text in texts if text.isdigit() and len(text) == len("19130321")}
    dates |= {f"{text[:4]}-{text[4:6]}-{text[6:]}" for text in dates}
    forms = {form for text in texts - dates if len(text.encode()) >= SHORTEST for form in written(text)} | raw - {b""}
    numbers = rb"(?<![0-9])(?:%s)(?![0-9])" % b"|".join(
        re.escape(one) for date in sorted(dates) for one in written(date)
    )
    return re.compile(b"|".join([*map(re.escape, sorted(forms, key=len, reverse=True)), numbers, rb"(?i:canary)"]))


def written(text: str) -> set[bytes]:
    """A text as UTF-8, UTF-16 and Latin-1, and as JSON, HTML and Python's `repr` of bytes write it."""
    forms = {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), json.dumps(text)[1:-1].encode()}
    forms |= {html.escape(text).encode(), repr(text.encode())[2:-1].encode(), text.encode("ascii", "backslashreplace")}
    try:
        return forms | {text.encode("latin-1")}
    except UnicodeEncodeError:
        return forms


def unfolded(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and what is packed in them: archives, zlib and gzip streams (PNG, TFRecord, HDF5), base64."""
    yield data
    if depth == DEEPEST:
        return
    if data[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    yield from unfolded(name.encode() + b"\n" + archive.read(name), depth + 1)
        except zipfile.BadZipFile:
            pass
        return
    for match in ZLIB.finditer(data):
        try:
            inner = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data[match.start() :], LARGEST)
        except zlib.error:
            continue
        if len(inner) >= SHORTEST:
            yield from unfolded(inner, depth + 1)
    for match in BASE64.finditer(data):
        try:
            inner = base64.b64decode(match.group(), validate=True)
        except ValueError:
            continue
        yield from unfolded(inner, depth + 1)


def traces(places: Iterable[Path], texts: Iterable[str] = (), ours: tuple[str, ...] = ()) -> list[str]:
    """What of the planted strings is found, as `where: what`: in names and bytes of files, and in texts.

    Args:
        places: files, and folders with all that is in them.
        texts: what was printed and logged.
        ours: as for `planted`.
    """
    pattern = planted(ours)
    found = []
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            held = path.name.encode("utf-8", "surrogateescape")
            for part in unfolded(path.read_bytes() if path.is_file() else b""):
                found += [f"{path}: {match.group()!r}" for match in pattern.finditer(part)]
            found += [f"name of {path}: {match.group()!r}" for match in pattern.finditer(held)]
    for text in texts:
        found += [f"text: {match.group()!r}" for match in pattern.finditer(text.encode("utf-8", "surrogateescape"))]
    return found
