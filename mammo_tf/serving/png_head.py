"""How large a PNG file says it is, before anyone decodes it."""

from __future__ import annotations

import struct
from typing import Any

from numpy.typing import NDArray

from mammo_tf.serving.refusals import wrong

MAGIC = b"\x89PNG\r\n\x1a\n"
SIZE = slice(16, 24)  # width and height, of the first chunk


def check_pixels(name: str, values: NDArray[Any], most: int) -> None:
    """Refuses pictures that would take too much memory when they are decoded. What is not a PNG is not looked at.

    Args:
        name: of the input, for the message.
        values: bytes, any shape.
        most: pixels of a picture.

    Raises:
        RequestError: `INVALID_ARGUMENT`, naming the picture.
    """
    for number, one in enumerate(values.ravel()):
        if isinstance(one, bytes) and one.startswith(MAGIC) and len(one) >= SIZE.stop:
            columns, rows = struct.unpack(">II", one[SIZE])
            if rows * columns > most:
                raise wrong(
                    f"picture {number} of the input {name!r} has {rows} x {columns} pixels; "
                    f"this server takes {most} at most (--max-pixels)"
                )
