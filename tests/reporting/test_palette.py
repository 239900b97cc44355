"""Colours can be read in both themes, and the style sheet says what figures are drawn with."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from mammo_tf.reporting.palette import PAPER, VARIABLES, dash_of

STYLE = (resources.files("mammo_tf.reporting") / "templates" / "report.css").read_text(encoding="utf-8")


def theme(number: int) -> dict[str, str]:
    """The colours of the light (0) or dark (1) theme."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return dict(re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{6})", blocks[number]))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("number", [0, 1])
def test_contrast(number: int) -> None:
    colours = theme(number)
    for name, colour in colours.items():
        if name not in ("--paper", "--rule", "--quiet"):
            least = 3.0 if name.startswith("--series") else 4.5
            assert contrast(colour, colours["--paper"]) >= least, (name, colour)
    assert contrast(colours["--ink"], colours["--quiet"]) >= 4.5


def test_the_light_theme_is_what_figures_are_drawn_with() -> None:
    assert {variable: colour for colour, variable in VARIABLES.items()}.items() <= theme(0).items()
    assert theme(0).keys() == theme(1).keys()
    assert PAPER in VARIABLES


def test_neighbours_differ_in_dash() -> None:
    assert all(dash_of(number) != dash_of(number + 1) for number in range(11))
    assert len({(number % 6, str(dash_of(number))) for number in range(24)}) == 24
