"""One picture with two outlines: what is true and what was called; next to it the same, nearer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from mammo_tf.evaluation.surface import bounding_box
from mammo_tf.reporting.examples import GAP, data_address, read_picture

FINER = 4  # parts of a pixel that outlines follow, so that one around a single pixel is seen
LARGEST = 1200  # rows and columns of a mask up to which they do
MOST_CORNERS = 4000  # of the outlines of a mask; of one with more its pixels are joined
NEAREST = 64  # pixels that the near view shows, at least
AROUND = 1.6  # size of the near view over that of what it shows
LARGEST_SHARE = 0.8  # of the picture's rows, above which it shows nothing more

HEIGHTS = (400, 320, 240, 180, 120)  # of pictures in a page

Outline = tuple[tuple[float, float], ...]
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Overlay:
    """A picture to be shown with its masks.

    Args:
        picture: 8- or 16-bit grey PNG of the whole picture, at any resolution.
        size: rows and columns that outlines and window are given in.
        truth, called: closed outlines, corners (x, y); (0, 0) is the upper left corner of the first pixel.
        near: grey PNG of the window; None where the whole picture shows as much.
        window: left, top, right, bottom of it.
        title, note: what is to be seen, and how well it was found; shown below.
    """

    picture: Path
    size: tuple[int, int]
    truth: tuple[Outline, ...]
    called: tuple[Outline, ...]
    near: Path | None = None
    window: Window | None = None
    title: str = ""
    note: str = ""


def outlines(mask: NDArray[np.bool_]) -> tuple[Outline, ...]:
    """The outlines of a mask, those of holes too, within a quarter of a pixel of its edges.

    A mask that is scattered over thousands of places is outlined by squares of two pixels, four, eight, until
    `MOST_CORNERS` are enough.

    Args:
        mask: bool `[rows, columns]`.
    """
    if not mask.any():
        return ()
    found = _traced(mask)
    if sum(map(len, found)) <= MOST_CORNERS:
        return found
    rows, columns = (np.arange(0, side, 2) for side in mask.shape)
    joined = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
    height, width = mask.shape
    return tuple(tuple((min(2 * x, width), min(2 * y, height)) for x, y in one) for one in outlines(joined))


def _traced(mask: NDArray[np.bool_]) -> tuple[Outline, ...]:
    box = bounding_box(mask)
    finer = FINER if max(part.stop - part.start for part in box) <= LARGEST else 1
    part = np.pad(mask[box].repeat(finer, axis=0).repeat(finer, axis=1).astype(np.uint8), 1)
    found, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corner = np.array([box[1].start, box[0].start])
    smooth = [cv2.approxPolyDP(one, 0.3 * finer, closed=True).reshape(-1, 2) for one in found]
    placed = [((one - 1 + 0.5) / finer + corner).round(2).tolist() for one in smooth]
    return tuple(tuple((float(x), float(y)) for x, y in one) for one in placed)


def near_window(mask: NDArray[np.bool_]) -> Window | None:
    """What a near view of a mask shows: left, top, right, bottom, in the picture and of its shape.

    None for an empty mask, and for one that takes so much of the picture that a near view shows nothing more.

    Args:
        mask: bool `[rows, columns]`.
    """
    if not mask.any():
        return None
    rows, columns = mask.shape
    down, across = bounding_box(mask)
    share = max(
        AROUND * (down.stop - down.start) / rows, AROUND * (across.stop - across.start) / columns,
        NEAREST / min(rows, columns),
    )  # fmt: skip
    if share > LARGEST_SHARE:
        return None
    height, width = (max(1, round(share * side)) for side in (rows, columns))
    top = int(np.clip((down.start + down.stop - height) // 2, 0, rows - height))
    left = int(np.clip((across.start + across.stop - width) // 2, 0, columns - width))
    return left, top, left + width, top + height


def fitting_overlays(overlays: Sequence[Overlay], budget: int) -> list[tuple[Overlay, Markup]]:
    """Overlays with their figures `overlay-<place>`, as large as the budget lets them be.

    Where it is too small for all of them at the smallest height, those that stay are spread evenly.

    Args:
        overlays: what to show.
        budget: bytes of text that all figures together may take.
    """
    for rows in HEIGHTS:
        figures = [overlay_figure(one, f"overlay-{place}", rows) for place, one in enumerate(overlays)]
        if sum(map(len, figures)) <= budget:
            return list(zip(overlays, figures, strict=True))
    for number in range(len(overlays) - 1, 0, -1):
        chosen = np.linspace(0, len(overlays) - 1, number).round().astype(int).tolist()
        if sum(len(figures[place]) for place in chosen) <= budget:
            return [(overlays[place], figures[place]) for place in chosen]
    return []


def overlay_figure(overlay: Overlay, name: str = "overlay", rows: int = HEIGHTS[0]) -> Markup:
    """An `<svg>`: the whole picture with its outlines, and the window next to it.

    Args:
        overlay: what to show.
        name: unique in the page, set before ids.
        rows: height at which its pictures are stored, at most.

    Raises:
        MammoError: `file_missing`, `picture_broken`.
    """
    height, width = overlay.size
    lines = "".join(
        _path(parts, kind, words)
        for parts, kind, words in ((overlay.truth, "true", "finding"), (overlay.called, "called", "call"))
    )
    layers = [_image(overlay.picture, (0, 0, width, height), rows), f'<g id="{name}-outlines">{lines}</g>']
    shape, total = "example single overlay", width
    if overlay.near is not None and overlay.window is not None:
        left, top, right, bottom = overlay.window
        shift = round(width * (1 + GAP))
        shape, total = "example overlay", shift + width
        view = f"{left} {top} {right - left} {bottom - top}"
        layers.append(
            f'<rect class="window" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
            f'<svg x="{shift}" y="0" width="{width}" height="{height}" viewBox="{view}" preserveAspectRatio="none">'
            f'{_image(overlay.near, overlay.window, rows)}<use href="#{name}-outlines"/></svg>'
        )
    about = escape(f"{overlay.title}. {overlay.note}")
    # Numbers, base64 and escaped text only.
    return Markup(
        f'<svg class="{shape}" viewBox="0 0 {total} {height}" role="img" aria-label="{about}">{"".join(layers)}</svg>'
    )


def _image(path: Path, window: Window, most: int) -> str:
    grey = (read_picture(path) / 257).round().astype(np.uint8)
    rows, columns = grey.shape
    if rows > most:
        size = (max(1, round(columns * most / rows)), most)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    left, top, right, bottom = window
    place = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" preserveAspectRatio="none"'
    return f'<image {place} href="{data_address(grey)}"/>'


def _path(parts: tuple[Outline, ...], kind: str, words: str) -> str:
    if not parts:
        return ""
    drawn = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in one) + "Z" for one in parts)
    return f'<path class="halo" d="{drawn}"/><path class="{kind}" d="{drawn}"><title>{words}</title></path>'
