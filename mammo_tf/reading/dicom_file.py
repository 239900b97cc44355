"""A DICOM file, opened: header, transfer syntax, and where its pixels lie. No pixel is decoded here."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import (
    ITEM,
    PIXEL_TAGS,
    SEQUENCE_END,
    UNDEFINED,
    DataSet,
    Form,
    parse,
    read_exactly,
    read_tag,
)

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
# What the code stream of a compressed syntax must be; the words of mammo_tf.reading.code_stream.
CODE_STREAMS = {
    "1.2.840.10008.1.2.4.50": ("jpeg",),
    "1.2.840.10008.1.2.4.51": ("jpeg",),
    "1.2.840.10008.1.2.4.57": ("jpeg_lossless",),
    "1.2.840.10008.1.2.4.70": ("jpeg_lossless",),
    "1.2.840.10008.1.2.4.80": ("jpeg_ls",),
    "1.2.840.10008.1.2.4.81": ("jpeg_ls",),
    "1.2.840.10008.1.2.4.90": ("jpeg_2000",),
    "1.2.840.10008.1.2.4.91": ("jpeg_2000",),
    "1.2.840.10008.1.2.4.201": ("jpeg_2000",),
    "1.2.840.10008.1.2.4.202": ("jpeg_2000",),
    "1.2.840.10008.1.2.4.203": ("jpeg_2000",),
}
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
# Pixels deflate by less than 50; a header that unfolds a hundredfold is not a picture.
INFLATED_AT_LEAST_BYTES, INFLATED_AT_MOST_TIMES = 16 << 20, 100


class PixelElement(NamedTuple):
    """Where the pixels lie in the stream, in bytes.

    `fragments` is None for native pixels; else (offset, length) of every fragment, and `starts` the place of each
    fragment's item counted as an offset table counts.
    """

    representation: str
    offset: int
    length: int
    fragments: tuple[tuple[int, int], ...] | None = None
    starts: tuple[int, ...] = ()
    offset_table: tuple[int, ...] = ()


class DicomFile(NamedTuple):
    """An opened file. `stream` is the file, or what was inflated from it; `end` its length in bytes.

    `accepted` are codes of judgements that shall not refuse it, `let_in` those that would have.
    """

    path: Path
    meta: DataSet
    header: DataSet
    transfer_syntax: str
    stream: BinaryIO
    end: int
    pixels: PixelElement | None
    warnings: list[str]
    accepted: tuple[str, ...]
    let_in: list[str]

    def judge(self, code: str, sentence: str, remedy: str) -> None:
        """Refuses the file by a judgement of ours, or notes that it was accepted.

        Raises:
            MammoError: the code, unless it is among `accepted`.
        """
        if code not in self.accepted:
            raise MammoError(code, sentence, remedy)
        if code not in self.let_in:
            self.let_in.append(code)
            self.warnings.append(f"accepted: {code}")

    @property
    def sop_class(self) -> str:
        """SOP Class UID of the data set, else of the file meta group."""
        return self.header.text("SOPClassUID") or self.meta.text("MediaStorageSOPClassUID")


@contextmanager
def refusals(path: str | Path) -> Iterator[None]:
    """Puts the path before every refusal, and turns what the disk or the memory may answer into one."""
    try:
        yield
    except MammoError as error:
        if error.sentence.startswith(f"{path}"):
            raise
        raise MammoError(error.code, f"{path}: {error.sentence}", error.remedy) from error.__cause__
    except FileNotFoundError:
        raise MammoError("file_missing", f"{path} is not there") from None
    except OSError as error:
        raise MammoError("unreadable", f"{path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise MammoError("too_large", f"{path} does not fit in memory") from None


@contextmanager
def open_dicom(path: str | Path, accepted: Sequence[str] = ()) -> Iterator[DicomFile]:
    """Opens a DICOM file and reads its header.

    Args:
        path: of the file.
        accepted: codes of judgements that shall not refuse it (`study.refusals`).

    Raises:
        MammoError: `not_dicom`, `truncated`, `too_deep`, `too_large`, `unknown_syntax`, `bad_structure`,
            `not_an_image` (a DICOMDIR, which is never followed).
    """
    path = Path(path)
    with path.open("rb") as stream:
        end = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        warnings: list[str] = []
        meta = _meta(stream, end, warnings)
        syntax = meta.text("TransferSyntaxUID") if meta.elements else IMPLICIT
        if meta.text("MediaStorageSOPClassUID") == DIRECTORY_CLASS:
            raise MammoError("not_an_image", "a directory of other files, not an image")
        if syntax not in (*NATIVE, *CODE_STREAMS, RLE, ENCAPSULATED_UNCOMPRESSED):
            what = "an unknown transfer syntax" if syntax else "no transfer syntax"
            raise MammoError("unknown_syntax", f"the file has {what}", "Convert it to explicit VR little endian")
        body: BinaryIO = stream
        if syntax == DEFLATED:
            body = io.BytesIO(_inflate(stream))
            end = len(body.getbuffer())
        form = _form(body, syntax, warnings)
        header = parse(body, end, form, stop=PIXEL_TAGS.__contains__)
        pixels = _pixels(body, end, form, syntax, warnings) if body.tell() < end else None
        yield DicomFile(path, meta, header, syntax, body, end, pixels, warnings, tuple(accepted), [])


def is_dicom(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a DICOM file, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    if head[:4] == b"\x02\x00\x00\x00" and head[4:6] == b"UL":
        return True
    # A bare data set starts in group 0008, in implicit VR with a first length that is short.
    return head[:2] == b"\x08\x00" and head[2:4] < b"\x20\x00" and head[5:8] == b"\0\0\0" and len(head) > 132


def _meta(stream: BinaryIO, end: int, warnings: list[str]) -> DataSet:
    head = stream.read(140)
    if not is_dicom(head) or end <= 132:
        raise MammoError("not_dicom", "not a DICOM file")
    form = Form(implicit=False)
    if head[128:132] == b"DICM":
        stream.seek(132)
    else:
        stream.seek(0)
        warnings.append("no preamble")
        if head[:2] != b"\x02\x00":
            return DataSet({}, form)
    return parse(stream, end, form, stop=lambda tag: tag >> 16 != 0x0002)


def _form(stream: BinaryIO, syntax: str, warnings: list[str]) -> Form:
    place = stream.tell()
    head = stream.read(6)
    stream.seek(place)
    lettered = head[4:6].isalpha() and head[4:6].isupper()
    implicit = syntax == IMPLICIT
    if len(head) == 6 and syntax in (IMPLICIT, EXPLICIT) and lettered == implicit:
        warnings.append("the transfer syntax says otherwise than the data set about value representations")
        implicit = not implicit
    return Form(implicit, syntax == BIG_ENDIAN)


def _inflate(stream: BinaryIO) -> bytes:
    packed = stream.read()
    most = max(INFLATED_AT_LEAST_BYTES, INFLATED_AT_MOST_TIMES * len(packed))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(packed, most)
    except zlib.error:
        raise MammoError("truncated", "the deflated data set is damaged", "Fetch the file again") from None
    if inflater.unconsumed_tail:
        raise MammoError("too_large", f"{len(packed)} deflated bytes unfold to more than {most}")
    if not inflater.eof:
        raise MammoError("truncated", "the deflated data set ends too early", "Fetch the file again")
    return data


def _pixels(stream: BinaryIO, end: int, form: Form, syntax: str, warnings: list[str]) -> PixelElement:
    tag, representation, length = read_tag(stream, form)
    if tag != 0x7FE00010:
        raise MammoError("bad_value", "the pixels are floating point numbers, which no mammogram has")
    if length != UNDEFINED:
        if stream.tell() + length > end:
            raise MammoError(
                "truncated", f"the pixels declare {length} bytes, and the file ends before", "Fetch the file again"
            )
        if length and syntax not in NATIVE:
            raise MammoError("bad_pixels", "compressed pixels are not divided into fragments")
        return PixelElement(representation, stream.tell(), length)
    if syntax in NATIVE:
        raise MammoError("bad_pixels", "uncompressed pixels have no length")
    fragments: list[tuple[int, int]] = []
    while stream.tell() < end:
        tag, _, length = read_tag(stream, form)
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or stream.tell() + length > end:
            raise MammoError("truncated", "the file ends inside the compressed pixels", "Fetch the file again")
        fragments.append((stream.tell(), length))
        stream.seek(stream.tell() + length)
    else:
        warnings.append("the compressed pixels are not closed by a delimiter")
    if not fragments:
        raise MammoError("no_pixels", "the file has no pixel data")
    (table_offset, table_length), *rest = fragments
    stream.seek(table_offset)
    table = read_exactly(stream, table_length) if table_length % 4 == 0 and table_length <= 1 << 22 else b""
    origin = table_offset + table_length + 8
    return PixelElement(
        representation,
        offset=origin - 8,
        length=sum(size for _, size in rest),
        fragments=tuple(rest),
        starts=tuple(offset - origin for offset, _ in rest),
        offset_table=struct.unpack(f"<{len(table) // 4}L", table),
    )
