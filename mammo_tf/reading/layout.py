"""The shape of a DICOM picture and how a pixel lies in its word."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import read_code_stream
from mammo_tf.reading.dicom_file import CODE_STREAMS, DicomFile
from mammo_tf.reading.fragments import ends_of, fragments_of_frames, pixels_of

# The largest mammograms have about 35 million pixels (film at 43 micrometres).
MOST_PIXELS = 100_000_000
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")  # a whole number as text (IS) has twelve characters
_COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")


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
        MammoError: `no_pixels`, `colour`, `bad_value`, `bad_pixels` (a size that cannot be, a code stream that
            contradicts the header), `too_large`.
    """
    header, pixels = file.header, file.pixels
    if pixels is None or pixels.length == 0:
        raise MammoError("no_pixels", "the file has no pixel data")
    numbers = {
        name: header.unsigned(name)
        for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    }
    photometric = "\\".join(dict.fromkeys(header.texts("PhotometricInterpretation")))
    samples = header.unsigned("SamplesPerPixel")
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
    shape = Layout(rows, columns, _frames(file), allocated, stored, high, signed, photometric)
    return _as_compressed(file, shape) if file.transfer_syntax in CODE_STREAMS else shape


def _as_compressed(file: DicomFile, shape: Layout) -> Layout:
    """The layout with sign and bits of the code stream of the first frame, where they contradict the header.

    What was compressed knows its own samples. But an encoder that was handed words may have coded all their bits, and
    two's complements without a sign: then the header counts.
    """
    groups = fragments_of_frames(file, pixels_of(file), shape.frames)
    stream = read_code_stream(*ends_of(file, groups[0]))
    if stream.precision > shape.bits_allocated:
        return shape  # `check_pixels` refuses it
    if stream.point_transform:
        file.warnings.append(f"compression dropped the lowest {stream.point_transform} bits (point transform)")
    header = f"{'signed' if shape.signed else 'unsigned'} numbers of {shape.bits_stored} bits"
    found = f"the code stream holds {'signed' if stream.signed else 'unsigned'} numbers of {stream.precision} bits"
    whole_words = stream.precision == shape.bits_allocated
    if stream.kind == "jpeg_2000" and shape.signed and not stream.signed:
        if not whole_words and stream.precision != shape.bits_stored:
            remedy = "Decompress it, and look which is right"
            raise MammoError("bad_pixels", f"{found}, the header says {header}", remedy)
        return shape
    signed = stream.signed or shape.signed
    bits = shape.bits_stored if whole_words else max(shape.bits_stored, stream.precision)
    if (signed, bits) != (shape.signed, shape.bits_stored):
        file.warnings.append(f"{found}, the header says {header}: the code stream counts")
    elif stream.precision < bits:
        file.warnings.append(f"{found}, the header says {header}")
    return shape._replace(signed=signed, bits_stored=bits, high_bit=max(shape.high_bit, bits - 1))


def _frames(file: DicomFile) -> int:
    text = "\\".join(file.header.texts("NumberOfFrames"))
    if not text:
        return 1
    if not _WHOLE.fullmatch(text):
        raise MammoError("bad_value", "Number of Frames is not a number")
    if int(text) < 1:
        raise MammoError("bad_pixels", f"Number of Frames is {int(text)}")
    return int(text)
