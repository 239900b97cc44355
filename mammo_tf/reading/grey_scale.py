"""What is doubtful about a picture, above all its grey scale, and how a table says it.

Neither polarity nor scale is guessed from one picture: they are what the container says. What the pixels speak against
is told: as a warning of the picture, and at the end of a command in a line for all of them (`doubts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.shades import Shades
from mammo_tf.study.cells import stored_bits

STORED_BITS = "stored_bits"  # the column that says of how many bits a picture's values are
LIKELY_BITS = (8, 10, 12, 14)
LOSSY = "JPEG is lossy: its grey values are not those of the machine"
SMALL = "fewer than 64 pixels along a side: a cut-out?"
INVERTED = "the background at the edge is the brightest part: black and white may be exchanged"
EVEN = "every pixel is shown in the same grey: are window, table and padding those of this picture?"
# The background of a picture whose polarity is wrong: as bright as the brightest pixels, even, and large. Of 719 real
# pictures of four collections two are taken for inverted (films with a white border), and of their negatives 697.
_BAND, _NEAR_WHITE, _EVEN, _SHARE, _CONTRAST = 0.05, 0.1, 0.05, 0.15, 0.15
_WHOLE_FROM = 64  # pixels along the shorter side
_ACROSS = 256  # pixels that are looked at along the longer side


def stored_bits_of(row: Mapping[Any, Any] | None) -> int | None:
    """What the column `stored_bits` of a table says of a picture; None if nothing.

    Raises:
        MammoError: `value_unknown` unless it is a whole number from 1 to 16.
    """
    value = None if row is None else row.get(STORED_BITS)
    if value is None or value == "" or value != value:  # NaN differs from itself
        return None
    return int(stored_bits(str(value)))


def full_scale(largest: int, depth: int, stored_bits: int | None, stated_bits: int | None) -> int:
    """The value that is white.

    Args:
        largest: value of the picture.
        depth: bits of a sample.
        stored_bits: what a table says; counts before what the container states.
        stated_bits: what the container states.

    Raises:
        MammoError: `bad_value` where what is said cannot be.
    """
    bits = stored_bits or stated_bits or depth
    where = f"the table's {STORED_BITS}" if stored_bits else "the file's own word"
    remedy = f"Correct {STORED_BITS}" if stored_bits else f"Give {STORED_BITS} in a table"
    if bits > depth:
        raise MammoError("bad_value", f"{where} is {bits}, and the pixels have {depth} bits", remedy)
    if largest >= 1 << bits:
        sentence = f"a value is {largest}, and {bits} bits, {where}, end at {(1 << bits) - 1}"
        raise MammoError("bad_value", sentence, remedy)
    return (1 << bits) - 1


def unused_bits(bits: int) -> str:
    """The warning of a picture of 16 bits whose values fit into fewer."""
    return f"16 bits that hold nothing above {(1 << bits) - 1}: {bits}-bit data?"


def unused_bits_doubt(largest: int, full: int) -> list[str]:
    """The warning `unused_bits`, where white is 65535 and no value needs more than 14 bits; else nothing."""
    if full != 0xFFFF or not 0 < largest < 1 << LIKELY_BITS[-1]:
        return []
    return [unused_bits(next(bits for bits in LIKELY_BITS if largest < 1 << bits))]


def inverted_doubt(pixels: np.ndarray | Shades) -> list[str]:
    """The warning `INVERTED`, where the edge farther from the breast, or both, looks like a background turned white.

    Args:
        pixels: float32 `[rows, columns]` in [0, 1], bright is dense; every few rows and columns are looked at.
    """
    step = -(-max(pixels.shape) // _ACROSS)
    small = pixels[::step, ::step]
    width = max(1, round(_BAND * small.shape[1]))
    edge = max(small[:, :width], small[:, -width:], key=lambda band: float(np.median(band)))
    low, ground, high = np.percentile(edge, [25, 50, 75])
    darkest, brightest = np.percentile(small, [5, 98])
    is_background = high - low < _EVEN and float((np.abs(small - ground) < _EVEN).mean()) > _SHARE
    return [INVERTED] if is_background and ground > max(brightest - _NEAR_WHITE, darkest + _CONTRAST) else []


def even_doubt(pixels: np.ndarray | Shades) -> list[str]:
    """The warning `EVEN`, where nothing is to be seen; every few rows and columns are looked at, then all."""
    step = -(-max(pixels.shape) // _ACROSS)
    return [EVEN] if np.ptp(pixels[::step, ::step]) == 0 and np.ptp(pixels[...]) == 0 else []


def small_doubt(rows: int, columns: int) -> list[str]:
    """The warning `SMALL`, where no whole mammogram has so few pixels; else nothing."""
    return [SMALL] if min(rows, columns) < _WHOLE_FROM else []


def doubts(warnings: Iterable[Collection[str]]) -> list[str]:
    """Lines for the end of a command about what is doubtful in all its pictures.

    Args:
        warnings: of each picture.
    """
    known = {unused_bits(bits) for bits in LIKELY_BITS} | {INVERTED, LOSSY, SMALL}
    told = Counter(word for one in warnings for word in known.intersection(one))
    counts = {bits: told[unused_bits(bits)] for bits in LIKELY_BITS if told[unused_bits(bits)]}
    lines = []
    if counts:
        most, number = max(counts), sum(counts.values())
        lines.append(
            f"{_pictures(number)} of 16 bits {_hold(number)} nothing above {(1 << most) - 1}: {most}-bit data? "
            f"If so, write {most} into a column {STORED_BITS} of the table, else 16"
        )
    inverted, lossy, small = (told[word] for word in (INVERTED, LOSSY, SMALL))
    if inverted:
        lines.append(f"the background of {_pictures(inverted)} is the brightest part: are black and white exchanged?")
    if lossy:
        lines.append(f"{_pictures(lossy)} {'is' if lossy == 1 else 'are'} JPEG, which is lossy")
    if small:
        lines.append(f"{_pictures(small)} {_have(small)} fewer than {_WHOLE_FROM} pixels along a side: cut-outs?")
    return lines


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"


def _hold(number: int) -> str:
    return "holds" if number == 1 else "hold"
