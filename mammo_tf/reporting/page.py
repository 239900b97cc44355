"""What the pages of this room share: templates, style sheet, filters, and how a path is shown."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

from mammo_tf.evaluation.number_text import p_text
from mammo_tf.reporting.palette import SERIES, colour_of, dash_of


def shown_path(path: Path, root: Path) -> str:
    """A path below `root` as written from there; any other by its last two parts, so that no machine is described."""
    path, root = Path(path).absolute(), Path(root).absolute()
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return "/".join(path.parts[-2:])


def environment(root: Path = Path()) -> jinja2.Environment:
    """The templates of this room, `page.html` among them, which each page extends.

    Args:
        root: the filter `source` shows paths relative to it.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mammo_tf.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["source"] = lambda path: shown_path(path, root)
    made.filters["p"] = p_text
    style = jinja2.PackageLoader("mammo_tf.reporting").get_source(made, "report.css")[0]
    # The style sheet is our own file.
    made.globals["style"] = Markup(style)
    made.globals["colour_of"], made.globals["dashes"] = _colour_variable, _dashes
    return made


def _colour_variable(number: int) -> str:
    return f"var(--series-{SERIES.index(colour_of(number))})"


def _dashes(number: int) -> str:
    """The SVG dash array of series `number`, in the table's key."""
    dash = dash_of(number)
    return "none" if isinstance(dash, str) else " ".join(f"{1.5 * part:g}" for part in dash[1])
