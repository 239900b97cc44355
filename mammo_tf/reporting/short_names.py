"""Long names in little room, shortened in the middle and still told apart."""

from __future__ import annotations

import os
from collections.abc import Sequence


def middle_out(text: str, length: int) -> str:
    """A text of at most `length` letters, with dots in place of its middle."""
    if len(text) <= length:
        return text
    ahead = (length - 3) // 2
    return f"{text[:ahead]}...{text[len(text) - (length - 3 - ahead) :]}"


def short_names(names: Sequence[str], length: int) -> list[str]:
    """Names of at most `length` letters each; those that differ are written differently.

    Names that would read the same without their middle show the part in which they differ instead, and where that is
    too long as well, a number behind.

    Args:
        names: in the order of what they stand below.
        length: 12 or more.
    """
    found = [middle_out(name, length) for name in names]
    for text in set(found):
        places = [place for place, one in enumerate(found) if one == text]
        group = sorted({names[place] for place in places})
        if len(group) > 1:
            windows = _windows(group, length)
            for place in places:
                found[place] = windows[names[place]]
    return found


def _windows(names: Sequence[str], length: int) -> dict[str, str]:
    """Each name around the part in which it differs from the others."""
    start = len(os.path.commonprefix(names))
    tail = len(os.path.commonprefix([name[start:][::-1] for name in names]))
    room = length - 6
    windows = {}
    for name in names:
        core = len(name) - start - tail
        first = max(0, min(start - max(0, room - core) // 2, len(name) - room))
        last = first + room
        windows[name] = f"{'...' if first else ''}{name[first:last]}{'...' if last < len(name) else ''}"
    if len(set(windows.values())) < len(names):
        return {name: f"{middle_out(name, length - 5)} #{number}" for number, name in enumerate(names, 1)}
    return windows
