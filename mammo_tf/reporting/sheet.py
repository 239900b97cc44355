"""The picture sheet: every picture as the network sees it, with score and heat map; what was refused, at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path
from mammo_tf.imaging.breast import segment
from mammo_tf.reporting.palette import INK, MUTED, NEGATIVE, PAPER, POSITIVE, RULE, drawing
from mammo_tf.reporting.short_names import middle_out, short_names
from mammo_tf.study import Reject

ACROSS, DOWN = 6, 4  # pictures on a page
NARROWEST = 4  # pictures abreast that a page has room for, so that there is room for words
LETTERS = 24  # of the lines at the end, for each picture abreast
CELL_WIDTH, CELL_HEIGHT = 1.9, 2.95  # inches
PICTURE_HEIGHT, TITLE_HEIGHT, LINE, BAR = 2.3, 0.35, 0.19, 0.035
MARGIN = 0.15
DPI = 130
THUMBNAIL_ROWS = round(PICTURE_HEIGHT * DPI)
NAME_LETTERS = 36  # of a file's name below its picture
LISTED = 40  # refusals that are written out
HEAT = "#ffb03b"
HEAT_SHARES = (0.5, 0.8)  # of the map's maximum, where the contours run


@dataclass(frozen=True)
class SheetPicture:
    """One picture of a sheet.

    Attributes:
        thumbnail: uint8 `[rows, columns]`, white 255; see `thumbnail`.
        title: what it is, such as `L MLO`; short.
        name: of the file; a long one is shortened so that it still differs from the others.
        score: in [0, 1], or None where nothing was scored.
        heatmap: float32 `[map rows, map columns]` over the whole picture, class activation; or None.
        note: a warning, short.
    """

    thumbnail: NDArray[np.uint8]
    title: str
    name: str
    score: float | None = None
    heatmap: NDArray[np.float32] | None = None
    note: str = ""


def thumbnail(picture: NDArray[Any], rows: int = THUMBNAIL_ROWS) -> NDArray[np.uint8]:
    """A small copy, uint8 with white 255, at most `rows` high and as wide; the aspect is kept.

    Args:
        picture: float `[rows, columns]` in [0, 1].
        rows: of the copy, at most.
    """
    height, width = picture.shape
    factor = min(1.0, rows / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(np.ascontiguousarray(picture, np.float32), size, interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)


def write_sheet(
    path: str | Path,
    pictures: Sequence[SheetPicture],
    heading: str,
    rejects: Sequence[Reject] = (),
    threshold: float | None = None,
    remark: str = "",
) -> list[Path]:
    """Draws a sheet as PNG, 24 pictures a page, the refusals on the last one; each page is whole or not there.

    Grey levels run from black 0 to white 1, as the network sees them. Contours follow the class activation map at
    half and at four fifths of its maximum, where it speaks for the positive class.

    Args:
        path: of the first page, `.png`; further ones are `<name>-2.png` and so on. Pages that an earlier and longer
            sheet left are removed.
        pictures: in order.
        heading: one line above each page.
        rejects: listed at the end; of more than 40 the rest is counted.
        threshold: operating point, marked on the bar below each picture.
        remark: a line below the pictures.

    Returns:
        The pages.

    Raises:
        MammoError: `not_a_png` for another ending, `disk_full`, `read_only`, `not_a_folder`.
    """
    path = Path(path)
    check_sheet_path(path)
    on_page = ACROSS * DOWN
    pages = [pictures[start : start + on_page] for start in range(0, len(pictures), on_page)] or [[]]
    written = []
    for number, shown in enumerate(pages, 1):
        last = number == len(pages)
        title = heading + (f", page {number} of {len(pages)}" if len(pages) > 1 else "")
        across = min(ACROSS, max(NARROWEST, len(pictures)))
        lines = _closing_lines(rejects, remark, across * LETTERS) if last else []
        written.append(_page_path(path, number))
        _write_page(written[-1], shown, across, title, lines, threshold)
    number = len(pages) + 1
    while (stale := _page_path(path, number)).is_file():
        stale.unlink()
        number += 1
    return written


def check_sheet_path(path: Path) -> None:
    """Refuses what is not a place for a sheet, before any work is done.

    Raises:
        MammoError: `not_a_png`.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise MammoError("not_a_png", f"a sheet is a PNG file, and {path} is none", "Name a file that ends in .png")


def _page_path(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _closing_lines(rejects: Sequence[Reject], remark: str, letters: int) -> list[str]:
    lines = textwrap.wrap(remark, letters)
    if rejects:
        lines += ["", f"Not used: {len(rejects)}"]
        for reject in rejects[:LISTED]:
            line = f"{middle_out(reject.path, letters // 2)}: {reject.reason} [{reject.code}]"
            lines.append(textwrap.shorten(line, letters, placeholder=" ..."))
        if len(rejects) > LISTED:
            lines.append(f"and {len(rejects) - LISTED} more")
    return lines


def _write_page(
    path: Path,
    pictures: Sequence[SheetPicture],
    across: int,
    heading: str,
    lines: Sequence[str],
    threshold: float | None,
) -> None:
    down = -(-len(pictures) // across)
    height = 2 * MARGIN + TITLE_HEIGHT + down * CELL_HEIGHT + len(lines) * LINE
    width = 2 * MARGIN + across * CELL_WIDTH
    names = short_names([picture.name for picture in pictures], NAME_LETTERS)
    with drawing(height, width) as figure:
        figure.set_layout_engine("none")
        _write(figure, MARGIN, MARGIN, heading, fontsize=11, weight="bold")
        for place, picture in enumerate(pictures):
            left = MARGIN + place % across * CELL_WIDTH
            top = MARGIN + TITLE_HEIGHT + place // across * CELL_HEIGHT
            _draw(figure, left, top, picture, names[place], threshold)
        top = MARGIN + TITLE_HEIGHT + down * CELL_HEIGHT
        for number, line in enumerate(lines):
            _write(
                figure, MARGIN, top + number * LINE, line, weight="bold" if line.startswith("Not used") else "normal"
            )
        with atomic_path(path) as beside:
            figure.savefig(beside, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": None})


def _shares(figure: Figure, x: float, y: float) -> tuple[float, float]:
    """Inches from the left and from the top, as shares of the figure from its lower left."""
    return x / figure.get_figwidth(), 1 - y / figure.get_figheight()


def _write(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Text whose upper left lies at (x, y) inches from the left and from the top; dollars are no formulae."""
    across, down = _shares(figure, x, y)
    figure.text(across, down, text, **{"va": "top", "color": INK, "parse_math": False, **style})


def _fill(figure: Figure, left: float, top: float, width: float, height: float, colour: str) -> None:
    """A filled rectangle, in inches from the left and from the top."""
    corner = _shares(figure, left, top + height)
    size = (width / figure.get_figwidth(), height / figure.get_figheight())
    figure.add_artist(Rectangle(corner, *size, color=colour, lw=0))


def _draw(figure: Figure, left: float, top: float, picture: SheetPicture, name: str, threshold: float | None) -> None:
    rows, columns = picture.thumbnail.shape
    room = CELL_WIDTH - 0.1
    scale = min(PICTURE_HEIGHT / rows, room / columns)
    corner = _shares(figure, left, top + rows * scale)
    size = (columns * scale / figure.get_figwidth(), rows * scale / figure.get_figheight())
    axes = figure.add_axes((*corner, *size))
    axes.set_axis_off()
    axes.imshow(picture.thumbnail, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="antialiased")
    _draw_heat(axes, picture)

    below = top + PICTURE_HEIGHT + 0.06
    _write(figure, left, below, picture.title, fontsize=9, weight="bold")
    if picture.score is not None:
        colour = POSITIVE if threshold is not None and picture.score >= threshold else INK
        shown = f"{picture.score:.3f}"
        _write(figure, left + room, below, shown, ha="right", fontsize=9, weight="bold", color=colour)
        _draw_bar(figure, left, below + 0.19, room, picture.score, threshold)
    _write(figure, left, below + 0.26, name, fontsize=6.5, color=MUTED)
    note = textwrap.shorten(picture.note, 44, placeholder=" ...")
    _write(figure, left, below + 0.38, note, fontsize=6.5, color=POSITIVE)


def _draw_heat(axes: Any, picture: SheetPicture) -> None:
    """Contours of the positive part of the map within the breast, brought to the thumbnail's size."""
    if picture.heatmap is None or min(picture.heatmap.shape) < 2 or picture.heatmap.max() <= 0:
        return
    rows, columns = picture.thumbnail.shape
    # INTER_CUBIC puts each map point at the centre of the square that it stands for.
    smooth = cv2.resize(picture.heatmap.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    breast = segment(picture.thumbnail)
    if breast.any():
        smooth = np.where(breast, smooth, np.float32(0))
    if smooth.max() <= 0:
        return
    levels = [share * float(smooth.max()) for share in HEAT_SHARES]
    axes.contour(smooth, levels=levels, colors=HEAT, linewidths=(0.7, 1.2), antialiased=True)


def _draw_bar(figure: Figure, left: float, top: float, length: float, score: float, threshold: float | None) -> None:
    """The score on a line from 0 to 1, with a tick at the threshold."""
    _fill(figure, left, top, length, BAR, RULE)
    _fill(figure, left, top, float(np.clip(score, 0, 1)) * length, BAR, NEGATIVE)
    if threshold is not None and 0 <= threshold <= 1:
        _fill(figure, left + threshold * length - 0.01, top - 0.025, 0.02, BAR + 0.05, POSITIVE)
