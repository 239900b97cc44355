import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mammo_tf.reading import read
from mammo_tf.serving import png_in_graph
from mammo_tf.serving.png_in_graph import MAGIC, decode_png

GREY = np.random.default_rng(0).integers(0, 65536, (9, 7)).astype(np.uint16)
GREY_8 = (GREY >> 8).astype(np.uint8)


@pytest.fixture(scope="module")
def decoded():
    """Decoded in a graph, as the third picture of a batch."""
    graph = tf.function(lambda png: decode_png(png, tf.constant(2)), input_signature=[tf.TensorSpec([], tf.string)])
    return lambda data: graph(tf.constant(data)).numpy()


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def saved(image, kind="png", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_chunk(data, kind, content, place=33):
    """A chunk added, after the head by default."""
    chunk = struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
    return data[:place] + chunk + data[place:]


def stacked(*channels):
    return np.stack(channels, axis=-1)


PALETTE = Image.fromarray(GREY_8).convert("P")
CLEAR = np.full_like(GREY, 65535)
TAKEN = {
    "grey 16": png(GREY),
    "grey 8": png(GREY_8),
    "equal RGB": png(stacked(GREY, GREY, GREY)),
    "equal RGB 8": png(stacked(GREY_8, GREY_8, GREY_8)),
    "opaque": png(stacked(GREY, GREY, GREY, CLEAR)),
    "grey palette": saved(PALETTE),
    "grey, opaque": saved(Image.fromarray(stacked(GREY_8, np.full_like(GREY_8, 255)))),
    "one bit": saved(Image.fromarray(GREY_8 > 99)),
    "interlaced chunks": with_chunk(png(GREY), b"tEXt", b"a\0b"),
    "all bits count": with_chunk(png(GREY), b"sBIT", b"\x10"),
}
COLOURED = GREY.copy()
COLOURED[3, 4] ^= 1
HALF = CLEAR.copy()
HALF[0, 0] = 30000
REFUSED = {
    "one pixel in colour": (png(stacked(GREY, GREY, COLOURED)), "COLOUR"),
    "one pixel half transparent": (png(stacked(GREY, GREY, GREY, HALF)), "COLOUR"),
    "grey half transparent": (saved(Image.fromarray(stacked(GREY_8, GREY_8 | 1))), "COLOUR"),
    "one grey is transparent": (saved(Image.fromarray(GREY_8), transparency=3), "COLOUR"),
    "palette in colour": (saved(Image.fromarray(stacked(GREY_8, GREY_8, GREY_8 ^ 64)).quantize(16)), "COLOUR"),
    "palette with a clear entry": (saved(PALETTE, transparency=int(GREY_8[0, 0])), "COLOUR"),
    "JPEG": (saved(Image.fromarray(GREY_8), "jpeg"), "NOT_PNG"),
    "GIF": (saved(Image.fromarray(GREY_8), "gif"), "NOT_PNG"),
    "BMP": (saved(Image.fromarray(GREY_8), "bmp"), "NOT_PNG"),
    "TIFF": (saved(Image.fromarray(GREY_8), "tiff"), "NOT_PNG"),
    "nothing": (b"", "NOT_PNG"),
    "words": (b"not a picture", "NOT_PNG"),
    "JPEG behind a PNG's first bytes": (MAGIC + saved(Image.fromarray(GREY_8), "jpeg"), "CUT_SHORT"),
    "first bytes alone": (MAGIC, "CUT_SHORT"),
    "without its end": (png(GREY)[:-12], "CUT_SHORT"),
    "12 of 16 bits": (with_chunk(png(GREY >> 4), b"sBIT", b"\x0c"), "SCALED"),
    "perhaps turned": (saved(Image.fromarray(GREY_8), exif=b"Exif\0\0II*\0"), "TURNED"),
    "turned, said at the end": (with_chunk(png(GREY), b"eXIf", b"II*\0", place=-12), "TURNED"),
    "animation": (with_chunk(png(GREY), b"acTL", b"\0\0\0\2\0\0\0\0"), "ANIMATED"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_has_the_values_that_reading_gives(decoded, name, tmp_path):
    (tmp_path / "p.png").write_bytes(TAKEN[name])
    expected = np.rint(read(tmp_path / "p.png").pixels.astype(np.float64) * 65535)
    np.testing.assert_array_equal(decoded(TAKEN[name]), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(decoded, name):
    data, fault = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decoded(data)
    assert f"picture 2 of the batch: {getattr(png_in_graph, fault)}" in str(caught.value)
