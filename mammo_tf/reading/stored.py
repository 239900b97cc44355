"""Stored values: the integers of a DICOM file before any table, frame by frame."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import HEAD_BYTES, TAIL_BYTES, CodeStream, read_code_stream
from mammo_tf.reading.dicom_file import CODE_STREAMS, RLE, DicomFile, PixelElement
from mammo_tf.reading.rle import decode_rle, segment_bounds

# The largest mammograms have about 35 million pixels (film at 43 micrometres).
MOST_PIXELS = 100_000_000
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
# Named, so that the answer does not hang on what else is installed (Pillow, GDCM).
_PLUGINS = {"jpeg_ls": "pyjpegls"}
_LOSSLESS_WORDS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80")
# pydicom logs and warns with the values it stumbles over; none of them may leave this room. Set once and for all:
# warnings.catch_warnings is not safe where several threads read.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom|mammo_tf\.reading\.stored")


class Layout(NamedTuple):
    """The picture's shape and how a pixel lies in its word (bits counted from 0)."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str

    @property
    def dtype(self) -> np.dtype:
        """What stored values are handed out as: (u)int8 or (u)int16."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * (self.bits_allocated // 8)


def layout(file: DicomFile) -> Layout:
    """Reads and checks the image pixel module.

    Raises:
        MammoError: `no_pixels`, `colour`, `bad_value`, `bad_pixels` (a size that cannot be), `too_large`.
    """
    header, pixels = file.header, file.pixels
    if pixels is None or pixels.length == 0:
        raise MammoError("no_pixels", "the file has no pixel data")
    numbers = {
        name: header.unsigned(name)
        for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    }
    photometric, samples = header.text("PhotometricInterpretation"), header.unsigned("SamplesPerPixel")
    if photometric in _COLOUR and samples in (1, 3):
        raise MammoError("colour", "the picture is in colour")
    if photometric not in MONOCHROME or samples not in (1, None):
        raise MammoError("bad_value", "Photometric Interpretation or Samples per Pixel is not that of a grey picture")
    missing = [name for name in ("Rows", "Columns", "BitsAllocated") if numbers[name] is None]
    if missing:
        raise MammoError("bad_value", f"{missing[0]} is missing")
    rows, columns, allocated = numbers["Rows"] or 0, numbers["Columns"] or 0, numbers["BitsAllocated"] or 0
    stored = allocated if numbers["BitsStored"] is None else numbers["BitsStored"]
    high = stored - 1 if numbers["HighBit"] is None else numbers["HighBit"]
    if allocated not in (8, 16):
        raise MammoError("bad_value", f"{allocated} bits allocated; 8 and 16 are read")
    if not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise MammoError("bad_value", f"{stored} bits stored up to bit {high} of {allocated}")
    if numbers["PixelRepresentation"] not in (0, 1, None):
        raise MammoError("bad_value", "Pixel Representation is neither 0 nor 1")
    if rows == 0 or columns == 0:
        raise MammoError("bad_pixels", f"the picture has {rows} rows and {columns} columns")
    if rows * columns > MOST_PIXELS:
        raise MammoError("bad_pixels", f"{rows} x {columns} pixels are declared, more than any mammogram has")
    signed = numbers["PixelRepresentation"] == 1
    return Layout(rows, columns, _frames(file), allocated, stored, high, signed, photometric)


def _frames(file: DicomFile) -> int:
    text = file.header.text("NumberOfFrames")
    if not text:
        return 1
    if not text.lstrip("+-").isdecimal():
        raise MammoError("bad_value", "Number of Frames is not a number")
    if int(text) < 1:
        raise MammoError("bad_pixels", f"Number of Frames is {int(text)}")
    return int(text)


def check_pixels(file: DicomFile, shape: Layout) -> None:
    """Compares what the header declares with the pixels that are there; decodes nothing.

    Raises:
        MammoError: `bad_pixels`.
    """
    pixels = _pixels(file)
    if pixels.fragments is None:
        due = shape.frame_bytes * shape.frames
        if pixels.length < due:
            raise MammoError("bad_pixels", f"{pixels.length} bytes of pixels where {due} are due")
        if pixels.length > due + due % 2:
            file.warnings.append("bytes after the last pixel are ignored")
        if pixels.representation == "OW" and shape.bits_allocated == 8 and file.header.form.big_endian:
            raise MammoError("bad_pixels", "8-bit pixels lie in big endian words, which is not read")
        return
    groups = _fragments_of_frames(file, pixels, shape.frames)
    if file.transfer_syntax in CODE_STREAMS:
        head, tail = _ends(file, groups[0])
        check_code_stream(head, tail, file.transfer_syntax, shape)
    elif file.transfer_syntax == RLE:
        head, _ = _ends(file, groups[0])
        segment_bounds(head, sum(length for _, length in groups[0]), shape.bits_allocated // 8)


def check_code_stream(head: bytes, tail: bytes, transfer_syntax: str, shape: Layout) -> CodeStream:
    """Compares a code stream's own words with the header, before a decoder believes them.

    Raises:
        MammoError: `bad_pixels`.
    """
    stream = read_code_stream(head, tail)
    if stream.kind not in CODE_STREAMS[transfer_syntax]:
        raise MammoError("bad_pixels", f"the code stream is {stream.kind}, which the transfer syntax does not say")
    if (stream.rows, stream.columns, stream.components) != (shape.rows, shape.columns, 1):
        raise MammoError(
            "bad_pixels",
            f"the code stream holds {stream.rows} x {stream.columns} x {stream.components}, "
            f"the header says {shape.rows} x {shape.columns}",
        )
    if stream.precision > shape.bits_allocated:
        raise MammoError("bad_pixels", f"the code stream has {stream.precision} bits of {shape.bits_allocated}")
    if not stream.complete:
        raise MammoError("bad_pixels", "the code stream ends too early", "Fetch the file again")
    if stream.point_transform:
        raise MammoError("bad_pixels", "JPEG lossless with a point transform is not decoded rightly by pylibjpeg")
    return stream


def stored_frames(file: DicomFile, shape: Layout, order: Iterable[int]) -> Iterator[np.ndarray]:
    """Stored values of the frames in `order`, one at a time, each read and decoded once.

    Yields:
        `[rows, columns]` of `shape.dtype`. `check_pixels` comes before.

    Raises:
        MammoError: `bad_pixels`.
    """
    pixels = _pixels(file)
    groups = None if pixels.fragments is None else _fragments_of_frames(file, pixels, shape.frames)
    for index in order:
        if groups is None:
            file.stream.seek(pixels.offset + index * shape.frame_bytes)
            yield _native(file.stream.read(shape.frame_bytes), file, shape)
        else:
            yield _compressed(_joined(file, groups[index]), file, shape)


def _pixels(file: DicomFile) -> PixelElement:
    if file.pixels is None:
        raise MammoError("no_pixels", "the file has no pixel data")
    return file.pixels


def _joined(file: DicomFile, fragments: list[tuple[int, int]]) -> bytes:
    parts = []
    for offset, length in fragments:
        file.stream.seek(offset)
        parts.append(file.stream.read(length))
    return b"".join(parts)


def _ends(file: DicomFile, fragments: list[tuple[int, int]]) -> tuple[bytes, bytes]:
    """The first and the last bytes of a frame, as many as a code stream's check needs."""
    if len(fragments) > 1:
        data = _joined(file, fragments)
        return data[:HEAD_BYTES], data[-TAIL_BYTES:]
    ((offset, length),) = fragments
    file.stream.seek(offset)
    head = file.stream.read(min(length, HEAD_BYTES))
    file.stream.seek(offset + max(0, length - TAIL_BYTES))
    return head, file.stream.read(min(length, TAIL_BYTES))


def _fragments_of_frames(file: DicomFile, pixels: PixelElement, frames: int) -> list[list[tuple[int, int]]]:
    fragments = list(pixels.fragments or ())
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    offsets = list(pixels.offset_table) or file.header.integers("ExtendedOffsetTable", "Q")
    begins = {start: place for place, start in enumerate(pixels.starts)}
    if len(offsets) != frames or any(offset not in begins for offset in offsets):
        raise MammoError("bad_pixels", f"{len(fragments)} fragments cannot be shared out among {frames} frames")
    places = [*(begins[offset] for offset in offsets), len(fragments)]
    if sorted(set(places)) != places:
        raise MammoError("bad_pixels", "the offset table does not rise")
    return [fragments[low:high] for low, high in pairwise(places)]


def _native(data: bytes, file: DicomFile, shape: Layout) -> np.ndarray:
    if len(data) != shape.frame_bytes:
        raise MammoError("truncated", "the file ends inside the pixels", "Fetch the file again")
    order = file.header.form.order
    words = np.frombuffer(data, dtype=f"{order}u{shape.bits_allocated // 8}").reshape(shape.rows, shape.columns)
    return _cut(words.astype(words.dtype.newbyteorder("="), copy=False), shape)


def _cut(words: np.ndarray, shape: Layout) -> np.ndarray:
    """The bits of the pixel out of its word: golden/dicom/display, first formula."""
    if shape.bits_stored < shape.bits_allocated:
        shift = shape.high_bit + 1 - shape.bits_stored
        if shift:
            words = words >> shift
        words = words & ((1 << shape.bits_stored) - 1)
    return _signed(words, shape.bits_stored, shape)


def _signed(words: np.ndarray, bits: int, shape: Layout) -> np.ndarray:
    if not shape.signed:
        return words
    spare = shape.bits_allocated - bits
    signed = words.view(shape.dtype)
    return (signed << spare) >> spare if spare else signed


def _compressed(data: bytes, file: DicomFile, shape: Layout) -> np.ndarray:
    if file.transfer_syntax == RLE:
        return _cut(decode_rle(data, shape.rows, shape.columns, shape.bits_allocated // 8), shape)
    if file.transfer_syntax not in CODE_STREAMS:
        return _native(data[: shape.frame_bytes], file, shape)
    stream = check_code_stream(data[:HEAD_BYTES], data[-TAIL_BYTES:], file.transfer_syntax, shape)
    options: dict[str, Any] = {
        "index": 0,
        "raw": True,
        "decoding_plugin": _PLUGINS.get(stream.kind, "pylibjpeg"),
        "number_of_frames": 1,
        "rows": shape.rows,
        "columns": shape.columns,
        "samples_per_pixel": 1,
        "bits_allocated": shape.bits_allocated,
        "bits_stored": shape.bits_stored,
        "pixel_representation": int(shape.signed),
        "photometric_interpretation": shape.photometric,
        "pixel_keyword": "PixelData",
    }
    try:
        decoded, _ = get_decoder(file.transfer_syntax).as_array(encapsulate([data]), **options)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # decoders in Rust raise PanicException, which is not an Exception
        raise MammoError(
            "bad_pixels", "the compressed pixels cannot be decoded", "Decompress it with dcmdjpeg or gdcmconv"
        ) from None
    if decoded.shape != (shape.rows, shape.columns):
        raise MammoError("bad_pixels", "the decoded picture has another size than the header says")
    words = decoded.astype(f"u{shape.bits_allocated // 8}")
    if stream.precision > shape.bits_stored and file.transfer_syntax in _LOSSLESS_WORDS:
        return _cut(words, shape)  # DCMTK codes whole words, with whatever lies next to the pixel
    return _signed(words, shape.bits_stored, shape)
