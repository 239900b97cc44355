"""The elements of a DICOM data set, read with every length checked against the bytes that are there.

pydicom's header reader is not used: on damaged files it raises a dozen unrelated exceptions, or carries on with a
warning that quotes the offending value, which may be a name. Here an element stays uninterpreted bytes until
somebody asks for it by its keyword, so what is not asked for can neither fail nor leak (golden/dicom/hostile).
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from pydicom.datadict import tag_for_keyword

from mammo_tf.errors import MammoError

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
LONGEST_VALUE_BYTES = 1 << 20
DEEPEST = 32
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)
_SHORT_FORM = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_FORM = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


class Form(NamedTuple):
    """How a data set is written: with or without value representations, and in which byte order."""

    implicit: bool
    big_endian: bool = False

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"


class Element(NamedTuple):
    """One element: its value representation (empty if implicit), and bytes or items.

    `value` is None for a sequence of undefined length, whose `items` are there, and for a value longer than
    `LONGEST_VALUE_BYTES`, which is left on disk.
    """

    representation: str
    value: bytes | None
    items: tuple[DataSet, ...] = ()


class DataSet:
    """Elements by tag, interpreted on demand by keyword of the DICOM dictionary."""

    def __init__(self, elements: dict[int, Element], form: Form) -> None:
        self.elements = elements
        self.form = form

    def element(self, keyword: str) -> Element | None:
        """The element of that keyword, None if it is not there."""
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise KeyError(keyword)
        return self.elements.get(tag)

    def texts(self, keyword: str) -> list[str]:
        """The values of a text element without padding; [] if absent or empty."""
        element = self.element(keyword)
        if element is None or not element.value:
            return []
        try:
            text = element.value.decode("utf-8")
        except UnicodeDecodeError:
            text = element.value.decode("latin-1")
        values = [value.strip(" \0\r\n\t") for value in text.split("\\")]
        return values if any(values) else []

    def text(self, keyword: str) -> str:
        """The first value of a text element, "" if there is none."""
        return next(iter(self.texts(keyword)), "")

    def decimals(self, keyword: str) -> list[float]:
        """The values of a number written as text (DS, IS).

        Raises:
            MammoError: `bad_value` if one is not a finite number.
        """
        try:
            values = [decimal(text) for text in self.texts(keyword)]
        except ValueError:
            raise MammoError("bad_value", f"{keyword} is not a number") from None
        if not all(map(math.isfinite, values)):
            raise MammoError("bad_value", f"{keyword} is not a finite number")
        return values

    def unsigned(self, keyword: str) -> int | None:
        """The one value of a US element; None if absent or empty.

        Raises:
            MammoError: `bad_value` if it is not exactly one 16-bit number.
        """
        element = self.element(keyword)
        if element is None or element.value == b"":
            return None
        if element.value is None or len(element.value) != 2:
            raise MammoError("bad_value", f"{keyword} is not one 16-bit number")
        return int(struct.unpack(f"{self.form.order}H", element.value)[0])

    def integers(self, keyword: str, kind: str) -> list[int]:
        """All values of a binary element; `kind` is the letter of `struct` (H, h, L, Q)."""
        element = self.element(keyword)
        if element is None or not element.value:
            return []
        count, rest = divmod(len(element.value), struct.calcsize(f"={kind}"))
        if rest:
            raise MammoError("bad_value", f"{keyword} has a length that no whole number of values has")
        return list(struct.unpack(f"{self.form.order}{count}{kind}", element.value))

    def sequence(self, keyword: str) -> tuple[DataSet, ...]:
        """The items of a sequence, () if absent or empty."""
        element = self.element(keyword)
        if element is None:
            return ()
        if element.value:
            form = Form(implicit=True) if element.representation == "UN" else self.form
            stream = io.BytesIO(element.value)
            return parse_items(stream, len(element.value), form, depth=1, delimited=False)
        return element.items


def decimal(text: str) -> float:
    """A number written as text; Python's own `float` would take `1_0` for ten, too.

    Raises:
        ValueError: where it is none.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return float(text)


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """`count` bytes, or the refusal `truncated`."""
    data = stream.read(count)
    if len(data) != count:
        raise MammoError("truncated", "the file ends in the middle of an element", "Fetch the file again")
    return data


def read_tag(stream: BinaryIO, form: Form) -> tuple[int, str, int]:
    """Tag, value representation ("" where there is none) and declared length of the element that comes next."""
    head = read_exactly(stream, 8)
    group, number = struct.unpack(f"{form.order}HH", head[:4])
    tag = group << 16 | number
    if form.implicit or group == 0xFFFE:
        return tag, "", struct.unpack(f"{form.order}L", head[4:])[0]
    representation = head[4:6]
    if representation in _LONG_FORM:
        return tag, representation.decode(), struct.unpack(f"{form.order}L", read_exactly(stream, 4))[0]
    if representation not in _SHORT_FORM:
        raise MammoError("bad_structure", f"element {tag >> 16:04X},{tag & 0xFFFF:04X} has no value representation")
    return tag, representation.decode(), struct.unpack(f"{form.order}H", head[6:])[0]


def parse(
    stream: BinaryIO,
    end: int,
    form: Form,
    depth: int = 0,
    delimited: bool = False,
    stop: Callable[[int], bool] | None = None,
) -> DataSet:
    """Reads elements up to `end`, or to an item delimiter, or to a tag at which `stop` says so.

    At a stop the stream stands at the first byte of that element.

    Raises:
        MammoError: `truncated`, `too_deep`, `bad_structure`.
    """
    if depth > DEEPEST:
        raise MammoError("too_deep", f"sequences are nested deeper than {DEEPEST}")
    elements: dict[int, Element] = {}
    while (place := stream.tell()) < end:
        if stop is not None:
            group, number = struct.unpack(f"{form.order}HH", read_exactly(stream, 4))
            stream.seek(place)
            if stop(group << 16 | number):
                return DataSet(elements, form)
        tag, representation, length = read_tag(stream, form)
        if tag == ITEM_END and delimited:
            return DataSet(elements, form)
        if length == UNDEFINED:
            elements[tag] = _undefined(stream, end, form, depth, tag, representation)
            continue
        _check_inside(stream, length, end)
        if length > LONGEST_VALUE_BYTES:
            stream.seek(stream.tell() + length)
            elements[tag] = Element(representation, None)
        else:
            elements[tag] = Element(representation, read_exactly(stream, length))
    if delimited:
        raise MammoError("truncated", "the file ends inside a sequence that is never closed", "Fetch the file again")
    return DataSet(elements, form)


def _undefined(stream: BinaryIO, end: int, form: Form, depth: int, tag: int, representation: str) -> Element:
    if tag in PIXEL_TAGS:  # the picture of an icon: passed over
        while (fragment := read_tag(stream, form))[0] != SEQUENCE_END:
            _check_inside(stream, fragment[2], end)
            stream.seek(stream.tell() + fragment[2])
        return Element(representation, None)
    if representation not in ("", "SQ", "UN"):
        raise MammoError("bad_structure", f"a {representation} element has no length")
    inner = Form(implicit=True) if representation == "UN" else form
    return Element(representation, None, parse_items(stream, end, inner, depth + 1, delimited=True))


def parse_items(stream: BinaryIO, end: int, form: Form, depth: int, delimited: bool) -> tuple[DataSet, ...]:
    """The items of a sequence up to `end`, or to the sequence delimiter if `delimited`."""
    items: list[DataSet] = []
    while stream.tell() < end:
        tag, _, length = read_tag(stream, form)
        if tag == SEQUENCE_END and delimited:
            return tuple(items)
        if tag != ITEM:
            raise MammoError("bad_structure", "a sequence holds something that is not an item")
        if length == UNDEFINED:
            items.append(parse(stream, end, form, depth, delimited=True))
        else:
            _check_inside(stream, length, end)
            items.append(parse(stream, stream.tell() + length, form, depth))
    if delimited:
        raise MammoError("truncated", "the file ends inside a sequence that is never closed", "Fetch the file again")
    return tuple(items)


def _check_inside(stream: BinaryIO, length: int, end: int) -> None:
    if stream.tell() + length > end:
        raise MammoError(
            "truncated", f"an element declares {length} bytes, and the file ends before", "Fetch the file again"
        )


# Functional groups: where multi-frame objects keep what single pictures keep at the top of the header.


def per_frame_groups(header: DataSet) -> tuple[DataSet, ...]:
    """One item a stored frame; there may be more or fewer of them than frames."""
    return header.sequence("PerFrameFunctionalGroupsSequence")


def holders(header: DataSet, macro: str) -> list[DataSet]:
    """Where an attribute of `macro` may stand, first the top of the header, then the shared groups, then the
    groups of the first stored frame.

    Args:
        header: the whole header.
        macro: keyword of the sequence that holds the attribute in a functional group (`PixelMeasuresSequence`).
    """
    groups = (*header.sequence("SharedFunctionalGroupsSequence")[:1], *per_frame_groups(header)[:1])
    return [header, *(item for group in groups for item in group.sequence(macro)[:1])]
