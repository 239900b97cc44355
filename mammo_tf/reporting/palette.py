"""Colours and type of all figures, and how a figure becomes SVG: for a file, or for a page with two themes.

A figure is drawn in the colours of the light theme. Within a page each becomes a CSS variable (`templates/report.css`),
so that one drawing serves light, dark and print. Series differ by colour and by dash; the colours stem from the
colour-blind safe set of Okabe and Ito, darkened until each has a contrast of 3:1 or more on the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from markupsafe import Markup

from mammo_tf.files import atomic_path, write_text

if TYPE_CHECKING:  # Matplotlib takes half a second to load, and is where a figure is drawn
    from matplotlib.figure import Figure

INK, MUTED, RULE, PAPER = "#1c2024", "#5a6169", "#d9dce0", "#fefefe"
POSITIVE, NEGATIVE = "#b8450b", "#6b7280"
SERIES = ("#0068a8", "#c0480a", "#007d5e", "#9b4a86", "#7d6200", "#3d4a9e")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.5, 1.4, 1.5)))
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    POSITIVE: "--positive",
    NEGATIVE: "--negative",
}
VARIABLES |= {colour: f"--series-{number}" for number, colour in enumerate(SERIES)}
WIDTH = 4.1  # inches: two abreast on a desk, one on a phone, at letters that can be read on both
TIP = "tip:"

STYLE: Any = {  # mpl.rcParams takes literal names only, by its stubs
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "figure.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # names are a user's, and may hold two dollars
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "mammo_tf",
    "svg.image_inline": True,
    "path.simplify": False,
}


def colour_of(number: int) -> str:
    """The colour of series `number`."""
    return SERIES[number % len(SERIES)]


def dash_of(number: int) -> str | tuple[int, tuple[float, ...]]:
    """The dash of series `number`: neighbours differ in colour and dash, and no two of 24 in both."""
    return DASHES[(number + number // (len(SERIES) * 2)) % len(DASHES)]


@contextmanager
def drawing(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A figure in the house style, sizes in inches; independent of the caller's Matplotlib settings."""
    from matplotlib.figure import Figure

    with _house_style():
        yield Figure(figsize=(width, height), layout="constrained")


@contextmanager
def _house_style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def svg_text(figure: Figure) -> str:
    """The figure as an SVG document, the same bytes each time; what points at an artist with a tip shows it.

    An artist's tip is its gid where that begins with `tip:`; it becomes an SVG title.
    """
    with _house_style():
        _lay_out(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", stream.getvalue(), flags=re.DOTALL)
    return re.sub(rf'<g id="{TIP}([^"]*)">', r"<g><title>\1</title>", text)


def _lay_out(figure: Figure) -> None:
    """Finds the places of the figure's parts, once for all files: every draw would look for them again."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def inline_svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element for the page: colours by CSS variables, ids unique, described in words.

    Args:
        figure: of this room.
        name: unique in the page, letters and hyphens; set before every id.
        description: read out by a screen reader.
    """
    text = svg_text(figure)
    text = text[text.index("<svg") :]
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', head)
    width = float(box.group(1).split()[2]) if box else 0.0
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-")
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    shape = box.group(1) if box else ""
    label = quoteattr(description)
    # Everything that a user wrote was escaped by Matplotlib's XML writer or by quoteattr.
    return Markup(
        f'<svg class="plot" viewBox="{shape}" style="--width:{width:.0f}" role="img" aria-label={label}>{body.strip()}'
    )


def save_figure(figure: Figure, path: Path, description: str) -> tuple[Path, Path]:
    """Writes `path` with the endings .svg and .png, dark on white; returns both paths."""
    paths = (path.with_suffix(".svg"), path.with_suffix(".png"))
    text = svg_text(figure)
    title = f"<title>{escape(description)}</title>"
    background = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    start = text.index(">", text.index("<svg")) + 1
    write_text(paths[0], text[:start] + title + background + text[start:])
    with _house_style(), atomic_path(paths[1]) as beside:
        figure.savefig(beside, format="png", dpi=200, facecolor=PAPER, metadata={"Software": None})
    return paths
