"""Code streams that say otherwise than the header: sign and bits of a sample."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import read_code_stream

UNSIGNED = np.linspace(0, 4000, 128 * 100).reshape(128, 100).astype(np.uint16)
SIGNED = (UNSIGNED.astype(np.int32) - 1500).astype(np.int16)


def saying(signed: int, bits: int) -> dict[str, int]:
    return {"PixelRepresentation": signed, "BitsStored": bits, "HighBit": bits - 1}


@pytest.mark.parametrize("bits", [13, 14, 16])
@pytest.mark.parametrize("header", [(0, 12), (0, 13), (0, 16), (1, 12), (1, 13), (1, 16)])
def test_signed_samples_of_jpeg_2000_stay_signed(
    bits: int, header: tuple[int, int], write_dicom: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(
        path, SIGNED, bits, compress=JPEG2000Lossless, after=saying(*header), WindowCenter=500, WindowWidth=4096
    )
    np.testing.assert_array_equal(reading.read_stored(path), SIGNED)
    picture = reading.read(path)
    np.testing.assert_allclose(picture.pixels, np.clip((SIGNED - 499.5) / 4095 + 0.5, 0, 1), atol=1e-6)
    contradicts = header[0] == 0 or header[1] != bits
    assert any("code stream" in warning for warning in picture.facts.warnings) or not contradicts or bits == 16


@pytest.mark.parametrize("compress", [JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_unsigned_samples_of_more_or_fewer_bits_than_the_header_says(
    compress: str, bits: int, write_dicom: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, UNSIGNED, 12, compress=compress, after=saying(0, bits))
    np.testing.assert_array_equal(reading.read_stored(path), UNSIGNED)
    warnings = [warning for warning in reading.inspect_file(path).warnings if "code stream" in warning]
    assert len(warnings) == (bits != 12)
    assert reading.inspect_file(path).bits == max(12, bits)


def test_words_coded_without_their_sign_are_the_headers(write_dicom: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, SIGNED.view(np.uint16), 16, compress=JPEG2000Lossless, after=saying(1, 16))
    np.testing.assert_array_equal(reading.read_stored(path), SIGNED)
    write_dicom(path, UNSIGNED, 12, compress=JPEG2000Lossless, after=saying(1, 16))
    with pytest.raises(MammoError, match="unsigned numbers of 12 bits, the header says signed numbers of 16") as caught:
        reading.read_stored(path)
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("components", [(0x8B,), (0x0B,), (0x8B, 0x8B), (0x8B, 0x0B), (0x0B, 0x0F)])
def test_every_component_of_jpeg_2000_tells_depth_and_sign(components: tuple[int, ...]) -> None:
    size = struct.pack(">HHHLLLLLLLLH", 0xFF51, 38 + 3 * len(components), 0, 6, 4, 0, 0, 6, 4, 0, 0, len(components))
    data = b"\xff\x4f" + size + b"".join(bytes([depth, 1, 1]) for depth in components) + b"\xff\xd9"
    if len(set(components)) > 1:
        with pytest.raises(MammoError, match="differ in depth or sign"):
            read_code_stream(data, data)
        return
    stream = read_code_stream(data, data)
    assert (stream.rows, stream.columns, stream.precision, stream.components) == (4, 6, 12, len(components))
    assert stream.signed == (components[0] == 0x8B)


def test_frames_whose_signs_differ_are_refused(write_dicom: Callable[..., Any], tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate, generate_frames

    parts = []
    for name, pixels in (("a", UNSIGNED), ("b", SIGNED)):
        made = write_dicom(tmp_path / f"{name}.dcm", pixels, 13, compress=JPEG2000Lossless)
        parts += generate_frames(made.PixelData, number_of_frames=1)
    write_dicom(tmp_path / "c.dcm", UNSIGNED, 13, compress=JPEG2000Lossless, after={
        "NumberOfFrames": 2, "PixelData": encapsulate(parts),
    })  # fmt: skip
    with pytest.raises(MammoError, match="differ in sign"):
        reading.read_stored(tmp_path / "c.dcm")


def test_a_table_tells_white_where_no_window_does(write_dicom: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, UNSIGNED, 16, drop=("WindowCenter", "WindowWidth"))
    picture = reading.read(path)
    np.testing.assert_allclose(picture.pixels, UNSIGNED / 65535, atol=1e-6)
    assert any("12-bit data?" in warning for warning in picture.facts.warnings)
    told = reading.read(path, stored_bits=12)
    np.testing.assert_allclose(told.pixels, UNSIGNED / 4095, atol=1e-6)
    assert told.facts.warnings == ()
    with pytest.raises(MammoError, match="a value is 4000"):
        reading.read(path, stored_bits=10)
