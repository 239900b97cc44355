"""PNG bytes to grey values in the graph, by the rules of `reading`: what `predict` refuses is refused here.

TensorFlow's decoder takes JPEG, GIF and BMP for PNG too, mixes colours to grey, drops transparency, and does not look
at what the other chunks of a file say, so all of that is checked in the graph (PNG 1.2 and 3.0).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mammo_tf.data.graph_checks import held

Tensor = Any

MAGIC = b"\x89PNG\r\n\x1a\n"
DEPTH, COLOUR_TYPE = 24, 25  # bytes of a PNG
PALETTE = 3
OPAQUE = 65535
# What is wrong, and what to do:
NOT_PNG = "not a PNG file; send grey PNG files of 8 or 16 bits"
COLOUR = "in colour or transparent; send a grey PNG without marks"
SCALED = "the chunk sBIT says that fewer bits count than are there; send values that fill 8 or 16 bits"
TURNED = "Exif data, which may say that it is to be turned; send it upright and without Exif"
ANIMATED = "an animation; send one picture a file"
CUT_SHORT = "the PNG ends too early; send the whole file"


def decode_png(png: Tensor, number: Tensor) -> Tensor:
    """The grey values of one PNG file.

    Args:
        png: string `[]`, a PNG of 1 to 16 bits, grey, or in equal channels and opaque.
        number: int32 `[]`, of the picture in its batch, for messages.

    Returns:
        uint16 `[rows, columns]`, round(65535 p): 8 bits are raised by 257.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, naming picture and fault, for what is not such a PNG.
    """
    png = _held(png, tf.strings.substr(png, 0, len(MAGIC)) == MAGIC, number, NOT_PNG)
    with tf.control_dependencies([_checked_chunks(png, number)]):
        # Without dtype the decoder drops the lower 8 of 16 bits; with it, 8-bit pictures are raised by 257.
        pixels = tf.io.decode_png(png, channels=0, dtype=tf.uint16)
    channels = tf.shape(pixels)[2]
    colours = channels - tf.cast(channels % 2 == 0, tf.int32)  # of two or four channels the last one is transparency
    equal = tf.reduce_all(pixels[..., :colours] == pixels[..., :1])
    opaque = tf.reduce_all(pixels[..., colours:] == OPAQUE)
    return _held(pixels[..., 0], equal & opaque, number, COLOUR)


def _held(value: Tensor, right: Tensor, number: Tensor, fault: str) -> Tensor:
    return held(value, right, tf.strings.join(["picture ", tf.strings.as_string(number), " of the batch: " + fault]))


def _checked_chunks(png: Tensor, number: Tensor) -> Tensor:
    """Walks over the chunks up to the last one, and refuses what changes the meaning of the values; their end."""
    size = tf.strings.length(png)

    def is_not_last(place: Tensor) -> Tensor:
        place = _held(place, place + 12 <= size, number, CUT_SHORT)
        return _kind(png, place) != b"IEND"

    def check(place: Tensor) -> tuple[Tensor]:
        kind = _kind(png, place)
        length = tf.bitcast(tf.cast(_bytes(png, place, 4)[::-1], tf.uint8), tf.int32)  # big-endian in the file
        kind = _held(kind, (length >= 0) & (length <= size - place - 12), number, CUT_SHORT)
        kind = _held(kind, kind != b"acTL", number, ANIMATED)
        kind = _held(kind, kind != b"eXIf", number, TURNED)
        colour_type = tf.reduce_max(_bytes(png, COLOUR_TYPE, 1))
        kind = _held(kind, (kind != b"tRNS") | (colour_type == PALETTE), number, COLOUR)
        depth = tf.where(colour_type == PALETTE, 8, tf.reduce_max(_bytes(png, DEPTH, 1)))
        # of other chunks nothing is looked at
        stated = _bytes(png, place + 8, tf.where(kind == b"sBIT", tf.minimum(length, 4), 0))
        return (_held(place + 12 + length, tf.reduce_all(stated == depth), number, SCALED),)

    (end,) = tf.while_loop(is_not_last, check, (tf.constant(len(MAGIC)),), parallel_iterations=1)
    return end


def _kind(png: Tensor, place: Tensor) -> Tensor:
    return _part(png, place + 4, 4)


def _bytes(png: Tensor, place: Tensor, count: Tensor) -> Tensor:
    """int32 `[count]`, fewer at the end."""
    return tf.cast(tf.io.decode_raw(_part(png, place, count), tf.uint8), tf.int32)


def _part(png: Tensor, place: Tensor, count: Tensor) -> Tensor:
    """A part of a string; beyond its end nothing, for the fault is told by another operation."""
    return tf.strings.substr(png, tf.minimum(place, tf.strings.length(png)), count)
