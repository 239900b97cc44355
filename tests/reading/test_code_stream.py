"""Heads of code streams, read off the golden files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import read_code_stream
from mammo_tf.reading.dicom_file import CODE_STREAMS, open_dicom
from mammo_tf.reading.layout import layout

CODECS = Path(__file__).parents[1] / "golden" / "dicom" / "codecs"
CASES = json.loads((CODECS / "expected.json").read_text())
CODED = [name for name, case in CASES.items() if case["transfer_syntax"] in CODE_STREAMS]


def stream_of(name: str) -> tuple[bytes, int, int]:
    """The whole code stream of a single-frame file, and the size in its header."""
    with open_dicom(CODECS / f"{name}.dcm") as file:
        shape = layout(file)
        assert file.pixels is not None
        parts = []
        for offset, length in file.pixels.fragments or ():
            file.stream.seek(offset)
            parts.append(file.stream.read(length))
        return b"".join(parts), shape.rows, shape.columns


@pytest.mark.parametrize("name", [name for name in CODED if len(CASES[name]["shape"]) == 2])
def test_size_and_end(name: str) -> None:
    data, rows, columns = stream_of(name)
    stream = read_code_stream(data, data[-64:])
    assert stream.kind in CODE_STREAMS[CASES[name]["transfer_syntax"]]
    assert (stream.rows, stream.columns, stream.components) == (rows, columns, 1)
    assert stream.complete
    assert stream.point_transform == 0
    half = data[: len(data) // 2]
    assert not read_code_stream(half, half[-64:]).complete
    if name == "j2k_lossless_bits_disagree":
        assert stream.precision == 10


def test_a_point_transform_is_seen() -> None:
    data = bytearray(stream_of("jpeg_lossless_sv1")[0])
    scan = data.index(b"\xff\xda")
    data[scan + 9] |= 1  # Ah/Al of a scan of one component
    assert read_code_stream(bytes(data), bytes(data[-64:])).point_transform == 1


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"no stream at all"])
def test_what_is_no_code_stream_is_refused(data: bytes) -> None:
    with pytest.raises(MammoError) as caught:
        read_code_stream(data, data[-64:])
    assert caught.value.code == "bad_pixels"
