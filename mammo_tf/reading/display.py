"""From stored values to what a viewer shows: modality LUT, VOI, polarity, padding.

The formulas are those of golden/dicom/display/README.md. Every one of them depends on the stored value alone, so
the whole road is computed once for each value of 8 or 16 bits, in float64, and the picture is looked up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import DataSet, decimal, holders
from mammo_tf.reading.layout import Layout
from mammo_tf.reading.shades import Shades

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class Table(NamedTuple):
    """A look-up table: the input of its first entry, its entries (int64), and their full scale."""

    first: int
    entries: np.ndarray
    full_scale: int

    def look_up(self, values: np.ndarray) -> np.ndarray:
        """Entries for `values` (float64), clamped at both ends."""
        places = np.clip(np.floor(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return self.entries[places].astype(np.float64)


class Display(NamedTuple):
    """What the header says about showing the picture; `padding` is the lowest and the highest padded stored value."""

    slope: float
    intercept: float
    modality_table: Table | None
    tables: tuple[Table, ...]
    windows: tuple[tuple[float, float], ...]
    function: str
    inverted: bool
    padding: tuple[int, int] | None


def display_rules(header: DataSet, shape: Layout, warnings: list[str]) -> Display:
    """Reads modality LUT, VOI, polarity and padding; doubtful things are added to `warnings`.

    In a volume, one VOI counts for all frames: the shared one, else that of the first stored frame.

    Raises:
        MammoError: `bad_value` for a rescale slope of 0 or not finite, a window that is negative or not finite, a
            table shorter than its descriptor.
    """
    transforms = holders(header, "PixelValueTransformationSequence")
    transform = next((holder for holder in transforms if holder.texts("RescaleSlope")), None)
    slope = _one(transform, "RescaleSlope", 1.0) if transform else 1.0
    intercept = _one(transform, "RescaleIntercept", 0.0) if transform else 0.0
    if transform is None and any(any(holder.decimals("RescaleIntercept")) for holder in transforms):
        warnings.append("Rescale Intercept without Rescale Slope is ignored")
    if slope == 0:
        raise MammoError("bad_value", "Rescale Slope is 0: every pixel would be equal")
    modality = next((_table(item, shape.signed) for item in header.sequence("ModalityLUTSequence")[:1]), None)
    lowest, highest = _range(shape)
    outputs = modality.entries if modality else np.array([slope * lowest + intercept, slope * highest + intercept])
    below_zero = bool(outputs.min() < 0)
    inverted = shape.photometric == "MONOCHROME1"
    shown = header.text("PresentationLUTShape").upper()
    if shown and shown != ("INVERSE" if inverted else "IDENTITY"):
        warnings.append("Presentation LUT Shape contradicts Photometric Interpretation, which decides")
    voi_holders = holders(header, "FrameVOILUTSequence")
    items = next(filter(None, (holder.sequence("VOILUTSequence") for holder in voi_holders)), ())
    tables = tuple(_table(item, below_zero) for item in items)
    for table in tables:
        _doubt_scale(table, warnings)
    windowed = next((holder for holder in voi_holders if holder.texts("WindowCenter")), header)
    functions = dict.fromkeys(word.upper() for word in windowed.texts("VOILUTFunction"))
    function = next(iter(functions), "LINEAR")
    if len(functions) > 1:
        warnings.append("of several VOI LUT functions the first is taken for all windows")
    if function not in _FUNCTIONS:
        warnings.append("the VOI LUT function is unknown, LINEAR is taken")
        function = "LINEAR"
    return Display(
        slope,
        intercept,
        modality,
        tables,
        _windows(windowed, function, warnings),
        function,
        inverted,
        _padding(header, shape),
    )


def _one(holder: DataSet, keyword: str, untold: float) -> float:
    values = holder.decimals(keyword)
    if len(values) > 1:
        raise MammoError("bad_value", f"{keyword} is {len(values)} numbers, not one")
    return next(iter(values), untold)


def _doubt_scale(table: Table, warnings: list[str]) -> None:
    """Says where a table's entries are not of as many bits as its descriptor says: white is then not where it should
    be."""
    largest, full = int(table.entries.max()), table.full_scale
    if not full // 2 <= largest <= full:
        warnings.append(f"a look-up table of {full.bit_length()} bits has {largest} as its largest entry")


def _range(shape: Layout) -> tuple[int, int]:
    if shape.signed:
        return -(1 << shape.bits_stored - 1), (1 << shape.bits_stored - 1) - 1
    return 0, (1 << shape.bits_stored) - 1


def _table(item: DataSet, signed_if_untold: bool) -> Table:
    descriptor, data = item.element("LUTDescriptor"), item.element("LUTData")
    if descriptor is None or data is None or data.value is None or len(descriptor.value or b"") != 6:
        raise MammoError("bad_value", "a look-up table has no descriptor or no data")
    count, first, bits = item.integers("LUTDescriptor", "H")
    count = count or 65536
    signed = descriptor.representation == "SS" or (descriptor.representation == "" and signed_if_untold)
    if signed and first > 32767:
        first -= 65536
    if not 1 <= bits <= 16:
        raise MammoError("bad_value", f"a look-up table has entries of {bits} bits")
    words = np.frombuffer(data.value[: len(data.value) // 2 * 2], dtype=f"{item.form.order}u2")
    if len(words) >= count:
        entries = words[:count]
    elif bits <= 8 and 2 * len(words) >= count:  # two entries in a word, the first in its low byte
        entries = words.astype("<u2").view(np.uint8)[:count]
    else:
        raise MammoError("bad_value", f"a look-up table says it has {count} entries, and has fewer")
    return Table(first, entries.astype(np.int64), (1 << bits) - 1)


def _windows(holder: DataSet, function: str, warnings: list[str]) -> tuple[tuple[float, float], ...]:
    centres, widths = holder.texts("WindowCenter"), holder.texts("WindowWidth")
    if len(centres) != len(widths):
        warnings.append("window centres and widths are not equal in number, those in pairs count")
    windows = []
    for pair in zip(centres, widths, strict=False):
        if any("," in text for text in pair):
            warnings.append("a window is written with a decimal comma")
        try:
            # A decimal string has 16 characters, so digits beyond the 15th are a writer's noise.
            centre, width = (float(f"{decimal(text.replace(',', '.')):.15g}") for text in pair)
        except ValueError:
            warnings.append("a window that is not a number is ignored")
            continue
        if not (math.isfinite(centre) and math.isfinite(width)) or width < 0:
            raise MammoError("bad_value", "a window is negative or not finite")
        if width < 1 if function == "LINEAR" else width == 0:
            warnings.append("a window too narrow for its function is ignored")
            continue
        windows.append((centre, width))
    return tuple(windows)


def _padding(header: DataSet, shape: Layout) -> tuple[int, int] | None:
    kind = "h" if shape.signed else "H"
    value = header.integers("PixelPaddingValue", kind)
    if not value:
        return None
    limit = header.integers("PixelPaddingRangeLimit", kind) or value
    return min(value[0], limit[0]), max(value[0], limit[0])


def choose_voi(rules: Display, voi: str) -> str:
    """The name of the VOI to use: `lut1`, `window2`, `none`; `default` is a table before a window, the first of each.

    Raises:
        MammoError: `voi_unknown` with the names that there are.
    """
    there = [f"lut{place + 1}" for place in range(len(rules.tables))]
    there += [f"window{place + 1}" for place in range(len(rules.windows))] + ["none"]
    chosen = there[0] if voi == "default" else voi
    if chosen not in there:
        raise MammoError("voi_unknown", f"there is no VOI {voi!r}", f"There are default, {', '.join(there)}")
    return chosen


def shown_values(values: np.ndarray, shape: Layout, rules: Display, voi: str) -> np.ndarray:
    """What a viewer shows for stored values.

    Args:
        values: stored values, float64, any shape.
        shape: the picture's layout, for the range that its bits can hold.
        rules: what the header says.
        voi: a name that `choose_voi` gave.

    Returns:
        float64 in [0, 1] of the same shape, bright is dense, padding 0.
    """
    x = _modality(values, rules)
    if voi == "none":
        low, high = _modality_range(shape, rules)
        y = np.clip((x - low) / (high - low), 0, 1) if high > low else np.zeros_like(x)
    elif voi.startswith("lut"):
        table = rules.tables[int(voi[3:]) - 1]
        y = np.minimum(table.look_up(x) / table.full_scale, 1)
    else:
        y = _windowed(x, *rules.windows[int(voi[6:]) - 1], rules.function)
    if rules.inverted:
        y = 1 - y
    if rules.padding is not None:
        y = np.where((values >= rules.padding[0]) & (values <= rules.padding[1]), 0.0, y)
    return y


def _modality(values: np.ndarray, rules: Display) -> np.ndarray:
    if rules.modality_table is not None:
        return rules.modality_table.look_up(values)
    return rules.slope * values + rules.intercept


def _modality_range(shape: Layout, rules: Display) -> tuple[float, float]:
    lowest, highest = _range(shape)
    outputs = _modality(np.arange(lowest, highest + 1, dtype=np.float64), rules)
    return float(outputs.min()), float(outputs.max())


def _windowed(x: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -700, 700))))  # exp(710) overflows
    if function == "LINEAR_EXACT":
        return np.clip((x - centre) / width + 0.5, 0, 1)
    if width == 1:
        return (x > centre - 0.5).astype(np.float64)
    return np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def show(stored: np.ndarray, shape: Layout, rules: Display, voi: str) -> np.ndarray:
    """The picture as shown: float32 `[rows, columns]` in [0, 1], bright is dense, padding 0; arguments as `shades`."""
    return shades(stored, shape, rules, voi)[...]


def shades(stored: np.ndarray, shape: Layout, rules: Display, voi: str) -> Shades:
    """The picture as shown, to be looked up.

    Args:
        stored: stored values `[rows, columns]` of `shape.dtype`.
        shape, rules, voi: as for `shown_values`.

    Raises:
        MammoError: `bad_value` if the header's numbers lead beyond what a float holds.
    """
    words = stored.view(f"u{stored.dtype.itemsize}")
    every_word = np.arange(1 << 8 * stored.dtype.itemsize, dtype=words.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        table = shown_values(every_word.view(stored.dtype).astype(np.float64), shape, rules, voi).astype(np.float32)
    if not np.isfinite(table).all():
        raise MammoError("bad_value", "rescale and window lead to numbers that are not finite")
    return Shades(words, table)
