"""A volume to one picture: the maximum over all its frames or a run of them, or one frame. A frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.display import Display, choose_voi, shades, show, shown_values
from mammo_tf.reading.facts import Picture
from mammo_tf.reading.frames import stored_part, volume_display, volume_facts
from mammo_tf.reading.grey_scale import even_doubt, inverted_doubt
from mammo_tf.reading.layout import Layout
from mammo_tf.reading.read import white_of
from mammo_tf.reading.shades import Shades


def project(
    path: str | Path,
    first: int = 1,
    count: int | None = None,
    *,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
    modality: str | None = None,
    series: int = 0,
    stored_bits: int | None = None,
    accepted: Sequence[str] = (),
) -> Picture:
    """The maximum over frames of a volume as a viewer shows them, so that MONOCHROME1 is turned before it.

    Frames are read and decoded one at a time, those that are asked for alone. Where what is shown rises or falls with
    what is stored, which is nearly always, the maximum or minimum is taken of the stored values, and shown once.

    Args:
        path: as for `frames`.
        first: first frame, in true order, counted from 1.
        count: how many frames; None for all from there on.
        voi, laterality, view, modality, series, accepted: as for `frames`; one VOI counts for the volume.
        stored_bits: as for `read`.

    Returns:
        `pixels` and facts as `read` gives them, `facts.frames` those of the volume.

    Raises:
        MammoError: `frame_missing` where the volume has not so many; those of `frames`.
    """
    path = Path(path)
    facts = volume_facts(path, voi, laterality, view, modality, series, accepted=accepted)
    last = facts.frames if count is None else first - 1 + count
    if not 1 <= first <= last <= facts.frames:
        asked = f"frame {first} is" if count == 1 else f"frames {first} to {last} are"
        raise MammoError("frame_missing", f"{asked} asked for, and the {_what(path)} has {facts.frames}")
    shape, rules = volume_display(path, series)
    name = choose_voi(rules, voi)
    found = stored_part(path, first, last, series, quickest=True)
    doubt: list[str] = []
    extreme = _extreme_of(shape, rules, name)
    pixels: np.ndarray | Shades
    if extreme is None:
        pixels = _reduced((show(one, shape, rules, name) for one in found), np.maximum)
    else:
        stored = _reduced(found, extreme)
        scale, doubt = white_of(stored, shape, rules, name, stored_bits)
        pixels = shades(stored, scale, rules, name)
    return Picture(
        pixels, replace(facts, warnings=(*facts.warnings, *doubt, *even_doubt(pixels), *inverted_doubt(pixels)))
    )


def _what(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def _extreme_of(shape: Layout, rules: Display, voi: str) -> np.ufunc | None:
    """Which stored value is shown brightest: the largest, the smallest, or (None) neither."""
    limits = np.iinfo(shape.dtype)
    steps = np.diff(shown_values(np.arange(limits.min, limits.max + 1, dtype=np.float64), shape, rules, voi))
    if (steps >= 0).all():
        return np.maximum
    return np.minimum if (steps <= 0).all() else None


def _reduced(frames: Iterator[np.ndarray], extreme: np.ufunc) -> np.ndarray:
    found = np.array(next(frames))
    for frame in frames:
        extreme(found, frame, out=found)
    return found
