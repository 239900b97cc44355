"""The page of a search: the best trial, how much of its score is selection, and all trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import value_text
from mammo_tf.files import write_text
from mammo_tf.reporting.importance import importance_figure
from mammo_tf.reporting.ladder import duration, sentence
from mammo_tf.reporting.page import environment
from mammo_tf.reporting.palette import inline_svg
from mammo_tf.reporting.parallel import parallel_figure

AGAIN = "Run mammo-tf tune again in the same folder"


def write_search_page(content: Mapping[str, Any], path: Path) -> None:
    """Writes a search as one HTML file without any reference to the outside; whole or not there.

    Args:
        content: of `result.json`.
        path: of the page.

    Raises:
        MammoError: `search_broken`; what a disk may answer.
    """
    write_text(path, render_search(content))


def render_search(content: Mapping[str, Any]) -> str:
    """The HTML text of a search; errors as `write_search_page`."""
    try:
        made = environment()
        made.filters |= {"duration": duration, "sentence": sentence, "value": value_text, "short": short_value}
        return made.get_template("search.html").render(
            search=content, parallel=_parallel(content), importance=_importance(content)
        )
    except (jinja2.UndefinedError, KeyError) as error:
        raise MammoError("search_broken", f"the search lacks something: {error}", AGAIN) from error


def short_value(value: Any) -> str:
    """A value of a field: four digits of a number, a dash where the trial has none."""
    if value is None:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parallel(content: Mapping[str, Any]) -> Markup | None:
    scored = [trial for trial in content["trials"] if trial["score"] is not None]
    if len(scored) < 2:
        return None
    title = content["objective"]["title"]
    for trial in scored:
        told = ", ".join(f"{name} {short_value(value)}" for name, value in trial["labels"].items())
        trial["tip"] = f"trial {trial['name']}: {title} {trial['score']:.3f}; {told}"
    figure = parallel_figure(content["axes"], scored, content["best"])
    said = "; ".join(trial["tip"] for trial in sorted(scored, key=lambda one: one["rank"])[:5])
    return inline_svg(figure, "parallel", f"Parallel coordinates of {len(scored)} trials. The best: {said}")


def _importance(content: Mapping[str, Any]) -> Markup | None:
    fields = content["importance"]["fields"]
    if not fields:
        return None
    said = "; ".join(f"{one['field']} {one['value']:.3f}" for one in fields)
    return inline_svg(importance_figure(fields), "importance", f"Importance of the fields. {said}")
