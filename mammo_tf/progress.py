"""Progress bars with an estimate, silent when the output is piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int | None = None, unit: str = "image") -> Iterable[Item]:
    """Hands on `items` and shows how far along they are, on standard error, if a person is looking.

    Args:
        items: anything iterable.
        what: two or three words before the bar.
        total: number of items where `items` does not know its length.
        unit: singular name of an item.
    """
    return tqdm(
        items, desc=what, total=total, unit=unit, file=sys.stderr, disable=None, leave=False, dynamic_ncols=True
    )
