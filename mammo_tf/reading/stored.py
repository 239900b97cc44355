"""Stored values: the integers of a DICOM file before any table, frame by frame."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from pydicom.pixels import get_decoder

from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import HEAD_BYTES, TAIL_BYTES, CodeStream, read_code_stream
from mammo_tf.reading.dicom_file import CODE_STREAMS, RLE, DicomFile
from mammo_tf.reading.fragments import (
    encapsulated,
    ends_of,
    fragments_of_frames,
    joined,
    pixels_of,
    refuse_several,
)
from mammo_tf.reading.layout import Layout
from mammo_tf.reading.rle import decode_rle, segment_bounds

# Named, so that the answer does not hang on what else is installed (Pillow, GDCM).
_PLUGINS = {"jpeg_ls": "pyjpegls"}
BESIDE = "words hold more than the stored bits, which is ignored: an overlay, or is Bits Stored wrong?"
_STEP = 8  # every such row and column is looked at for it
_LOSSLESS_WORDS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80")
# pydicom logs and warns with the values it stumbles over; none of them may leave this room. Set once and for all:
# warnings.catch_warnings is not safe where several threads read.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom|mammo_tf\.reading\.stored")


def check_pixels(file: DicomFile, shape: Layout) -> None:
    """Compares what the header declares with the pixels that are there; decodes nothing.

    Raises:
        MammoError: `bad_pixels`.
    """
    pixels = pixels_of(file)
    if pixels.fragments is None:
        due = shape.frame_bytes * shape.frames
        if pixels.length < due:
            raise MammoError("bad_pixels", f"{pixels.length} bytes of pixels where {due} are due")
        if pixels.length >= 2 * due:
            sentence = (
                f"{pixels.length} bytes of pixels where {due} are due: Number of Frames or Bits Allocated is wrong"
            )
            raise MammoError("bad_pixels", sentence)
        if pixels.length > due + due % 2:
            file.warnings.append("bytes after the last pixel are ignored")
        if pixels.representation == "OW" and shape.bits_allocated == 8 and file.header.form.big_endian:
            raise MammoError("bad_pixels", "8-bit pixels lie in big endian words, which is not read")
        return
    groups = fragments_of_frames(file, pixels, shape.frames)
    if file.transfer_syntax in CODE_STREAMS:
        if shape.frames == 1:
            refuse_several(file, groups[0])
        head, tail = ends_of(file, groups[0])
        check_code_stream(head, tail, file.transfer_syntax, shape)
    elif file.transfer_syntax == RLE:
        head, _ = ends_of(file, groups[0])
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
    if stream.signed and not shape.signed:
        raise MammoError("bad_pixels", "the code streams of the frames differ in sign")
    if not stream.complete:
        raise MammoError("bad_pixels", "the code stream ends too early", "Fetch the file again")
    if stream.point_transform and (stream.kind == "jpeg_ls" or stream.point_transform >= stream.precision):
        sentence = f"a point transform of {stream.point_transform} in {stream.kind} is not read"
        raise MammoError("bad_pixels", sentence, "Decompress it with dcmdjpeg or dcmdjpls")
    return stream


def stored_frames(file: DicomFile, shape: Layout, order: Iterable[int]) -> Iterator[np.ndarray]:
    """Stored values of the frames in `order`, one at a time, each read and decoded once.

    Yields:
        `[rows, columns]` of `shape.dtype`. `check_pixels` comes before.

    Raises:
        MammoError: `bad_pixels`.
    """
    pixels = pixels_of(file)
    groups = None if pixels.fragments is None else fragments_of_frames(file, pixels, shape.frames)
    for index in order:
        if groups is None:
            file.stream.seek(pixels.offset + index * shape.frame_bytes)
            yield _native(file.stream.read(shape.frame_bytes), file, shape)
        else:
            yield _compressed(joined(file, groups[index]), file, shape)


def _native(data: bytes, file: DicomFile, shape: Layout) -> np.ndarray:
    if len(data) != shape.frame_bytes:
        raise MammoError("truncated", "the file ends inside the pixels", "Fetch the file again")
    order = file.header.form.order
    words = np.frombuffer(data, dtype=f"{order}u{shape.bits_allocated // 8}").reshape(shape.rows, shape.columns)
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    _doubt_bits(words[::_STEP, ::_STEP], file, shape)
    return _cut(words, shape)


def _doubt_bits(words: np.ndarray, file: DicomFile, shape: Layout) -> None:
    """Says where something lies next to the pixels in their words; what has a sign is written with it, or without."""
    own = ((1 << shape.bits_stored) - 1) << (shape.high_bit + 1 - shape.bits_stored)
    if not shape.signed and BESIDE not in file.warnings and (words & ~words.dtype.type(own)).any():
        file.warnings.append(BESIDE)


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
    if stream.point_transform:
        data = _without_point_transform(data, stream)
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
        decoded, _ = get_decoder(file.transfer_syntax).as_array(encapsulated(data), **options)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # decoders in Rust raise PanicException, which is not an Exception
        raise MammoError(
            "bad_pixels", "the compressed pixels cannot be decoded", "Decompress it with dcmdjpeg or gdcmconv"
        ) from None
    if decoded.shape != (shape.rows, shape.columns):
        raise MammoError("bad_pixels", "the decoded picture has another size than the header says")
    words = decoded.astype(f"u{shape.bits_allocated // 8}", copy=False)
    if stream.point_transform:
        words = (words - _first_prediction(stream)) << stream.point_transform
    if stream.precision > shape.bits_stored and file.transfer_syntax in _LOSSLESS_WORDS:
        return _cut(words, shape)  # DCMTK codes whole words, with whatever lies next to the pixel
    return _signed(words, shape.bits_allocated if stream.signed else shape.bits_stored, shape)


def _without_point_transform(data: bytes, stream: CodeStream) -> bytes:
    """The same code stream of lossless JPEG without its point transform, which pylibjpeg decodes wrongly.

    All predictors pass on what is added to their neighbours. So its samples are those before the shift to the left plus
    the difference of what is predicted where there are no neighbours, `_first_prediction` (ITU-T T.81, H.1.2).
    """
    at = stream.point_transform_at
    return data[:at] + bytes([data[at] & 0xF0]) + data[at + 1 :]


def _first_prediction(stream: CodeStream) -> int:
    """What is predicted for the first sample without the point transform, less what is with it."""
    return (1 << stream.precision - 1) - (1 << stream.precision - stream.point_transform - 1)
