"""Sensitivity against specificity of every rung, next to the intended point and what is tolerated around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mammo_tf.evaluation.number_text import LEGEND, number_text
from mammo_tf.reporting.ladder_rows import NEEDS, LadderRow, places_text
from mammo_tf.reporting.palette import INK, MUTED, PAPER, TIP, WIDTH, drawing

Limits = tuple[tuple[float, float], tuple[float, float]]  # of specificity and of sensitivity
Spot = tuple[float, float]
TITLES = {"at_carried": "At the carried threshold", "at_own": "At its own threshold"}
LEAST_SPAN, EDGE = 0.2, 0.03  # of both axes; beyond 0 and 1
LETTER, TALL = 0.016, 0.04  # of a number beside a point, in parts of the axes
AWAY = 2.4  # how much further off a number stands where there is no room beside its point, with a line to it
LINE = 0.35  # what it may cover rather than have that line
AROUND = [(np.cos(turn), np.sin(turn)) for turn in np.pi * np.array([0.25, -0.25, 0.75, -0.75, 0, 1, 0.5, -0.5])]


def point_limits(rows: Sequence[LadderRow], intended: Mapping[str, Any] | None, tolerance: float) -> Limits | None:
    """Limits that hold the points at either threshold and the tolerance, as wide as high; None without a point."""
    spots = [spot for row in rows for which in ("at_carried", "at_own") if (spot := _spot(row, which)) is not None]
    if not spots:
        return None
    if intended is not None:
        middle = intended["specificity"], intended["sensitivity"]
        spots += [(middle[0] + sign * tolerance, middle[1] + sign * tolerance) for sign in (-1, 1)]
    low, high = np.min(spots, axis=0), np.max(spots, axis=0)
    span = min(max(float((high - low).max()) * 1.16, LEAST_SPAN), 1 + 2 * EDGE)
    start = np.clip((low + high) / 2 - span / 2, -EDGE, 1 + EDGE - span)
    return (float(start[0]), float(start[0]) + span), (float(start[1]), float(start[1]) + span)


def points_figure(
    rows: Sequence[LadderRow], which: str, limits: Limits, intended: Mapping[str, Any] | None, tolerance: float
) -> Figure:
    """A point for each rung, numbered; rungs of one point share it. The chosen one has its 95 % intervals.

    Args:
        rows: rungs that apply.
        which: `at_carried` or `at_own`, the threshold.
        limits: of the axes.
        intended: sensitivity and specificity; None draws neither the point nor the box.
        tolerance: half a side of the box.
    """
    with drawing(WIDTH * 0.93 + 0.8) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=limits[0], ylim=limits[1], xlabel="Specificity", ylabel="Sensitivity")
        axes.set_title(TITLES[which])
        axes.set_aspect("equal")
        if intended is not None:
            _intended(axes, intended, tolerance)
        shared: dict[Spot, list[LadderRow]] = {}
        for row in rows:
            if (spot := _spot(row, which)) is not None:
                shared.setdefault(spot, []).append(row)
        for spot, group in shared.items():
            _point(axes, spot, group, which)
        _numbers(axes, shared, limits, intended)
        figure.legend(handles=_keys(rows, intended), loc="outside lower left", ncols=2, columnspacing=1.4)
    return figure


def _spot(row: LadderRow, which: str) -> Spot | None:
    """Specificity and sensitivity of a rung; None where one is missing."""
    point = row.test[which]
    if point is None:
        return None
    specificity, sensitivity = ((point[name] or {}).get("value") for name in ("specificity", "sensitivity"))
    return None if specificity is None or sensitivity is None else (specificity, sensitivity)


def _intended(axes: Axes, intended: Mapping[str, Any], tolerance: float) -> None:
    x, y = intended["specificity"], intended["sensitivity"]
    corner = (x - tolerance, y - tolerance)
    axes.add_patch(Rectangle(corner, 2 * tolerance, 2 * tolerance, facecolor=MUTED, alpha=0.14, linewidth=0))
    axes.add_patch(Rectangle(corner, 2 * tolerance, 2 * tolerance, fill=False, edgecolor=MUTED, linestyle=(0, (3, 2))))
    tip = f"{TIP}intended: sensitivity {y:.3f}, specificity {x:.3f}, each within {tolerance:g}"
    axes.plot([x], [y], "+", markersize=13, markeredgewidth=1.6, color=INK, gid=tip)


def _point(axes: Axes, spot: Spot, group: Sequence[LadderRow], which: str) -> None:
    """The point of one rung or several, by the sign of the cheapest of them; intervals of the chosen one."""
    need = NEEDS[group[0].needs]
    for row in group:
        if row.chosen:
            ends = row.test[which]
            for name, along in (("specificity", True), ("sensitivity", False)):
                low, high = ends[name]["low"], ends[name]["high"]
                if low is not None and high is not None:
                    places = ([low, high], [spot[1]] * 2) if along else ([spot[0]] * 2, [low, high])
                    axes.plot(*places, color=need.colour, linewidth=1.1, alpha=0.75)
    point = group[0].test[which]
    names = ", ".join(f"{row.place} {row.title}" for row in group)
    said = ", ".join(f"{name} {number_text(point[name], LEGEND)}" for name in ("sensitivity", "specificity"))
    chosen = any(row.chosen for row in group)
    axes.plot(
        [spot[0]], [spot[1]], need.marker, markersize=7.5 if chosen else 5, color=need.colour, markeredgecolor=PAPER,
        markeredgewidth=0.6, gid=f"{TIP}{names}: {said}", zorder=5,
    )  # fmt: skip


def _numbers(
    axes: Axes, shared: Mapping[Spot, Sequence[LadderRow]], limits: Limits, intended: Mapping[str, Any] | None
) -> None:
    """The numbers of the rungs beside their points, each where it covers least of the others."""
    start, span = np.array([limits[0][0], limits[1][0]]), limits[0][1] - limits[0][0]
    taken = [((np.array(spot) - start) / span, 0.02, 0.02) for spot in shared]
    if intended is not None:
        taken.append(((np.array([intended["specificity"], intended["sensitivity"]]) - start) / span, 0.03, 0.03))
    for spot, group in shared.items():
        text = places_text([row.place for row in group])
        wide = LETTER * (len(text) + 0.5)
        at = (np.array(spot) - start) / span
        places = [at + away * np.array([x * (0.02 + wide / 2), y * 0.036]) for away in (1, AWAY) for x, y in AROUND]
        costs = np.array([_covered(place, wide, TALL, taken) for place in places])
        costs[len(AROUND) :] += LINE
        number = int(np.argmin(costs))  # the nearest of equals
        best = places[number]
        if number >= len(AROUND):
            axes.plot(*np.transpose([spot, start + best * span]), color=MUTED, linewidth=0.6, zorder=2)
        taken.append((best, wide / 2, TALL / 2))
        weight = "bold" if any(row.chosen for row in group) else "normal"
        x, y = start + best * span
        axes.text(
            float(x), float(y), text, ha="center", va="center", color=INK, fontsize=8, weight=weight, zorder=6,
            bbox={"facecolor": PAPER, "alpha": 0.7, "linewidth": 0, "pad": 0.4},
        )  # fmt: skip


def _covered(place: np.ndarray, wide: float, tall: float, taken: Sequence[tuple[np.ndarray, float, float]]) -> float:
    """How much of what is there already a number at a place would cover, and how far it would leave the axes."""
    half = np.array([wide, tall]) / 2
    total = float(np.clip(np.concatenate([half - place, place + half - 1]), 0, None).sum()) * 10
    for middle, x, y in taken:
        overlap = np.clip(half + np.array([x, y]) - np.abs(place - middle), 0, None)
        total += float(np.prod(overlap)) * 1e3
    return total


def _keys(rows: Sequence[LadderRow], intended: Mapping[str, Any] | None) -> list[Line2D]:
    """What the signs mean."""
    keys = [
        Line2D([], [], marker=need.marker, color=need.colour, linestyle="", markersize=5, label=need.title.lower())
        for name, need in NEEDS.items()
        if any(row.needs == name for row in rows)
    ]
    if intended is not None:
        keys.append(Line2D([], [], marker="+", color=INK, linestyle="", markersize=9, label="intended, and tolerated"))
    return keys
