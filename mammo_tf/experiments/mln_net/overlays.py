"""Figures 5 and 6: pictures of machines never seen, their clusters outlined, and what each row calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Curve
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from mammo_tf.evaluation.overlap import overlap
from mammo_tf.imaging.warp import invert
from mammo_tf.records import Records
from mammo_tf.reporting.examples import read_picture
from mammo_tf.reporting.overlays import Outline, Window, near_window, outlines
from mammo_tf.reporting.palette import drawing
from mammo_tf.training.tasks import Segmentation
from mammo_tf.training.tasks.stored_masks import MASKS, mask_path

TRUE, CALLED, HALO = "#6fd6ff", "#ffb03b", "#000000"  # on dark pictures, as in a report's page
DASH = (0, (3, 1.5))
PANEL = 1.05  # inches across
LETTERS = 26  # of a picture's name that fit beside it


class Call(NamedTuple):
    """What a row calls in a picture: closed outlines in the prepared picture, and the Dice of the stored masks."""

    outlines: tuple[Outline, ...]
    dice: float


class Line(NamedTuple):
    """A picture with what was called in it.

    Attributes:
        title: shown beside it.
        picture: prepared, uint16 `[rows, columns]`.
        truth: closed outlines in it.
        window: left, top, right, bottom of the near view.
        calls: title of a row -> its call; None where the row has no mask of the picture.
    """

    title: str
    picture: NDArray[np.uint16]
    truth: tuple[Outline, ...]
    window: Window
    calls: Mapping[str, Call | None]


def chosen_pictures(records: Records, task: Segmentation, count: int) -> list[int]:
    """Positions of the pictures that are shown: of test patients, with a finding, the first of each patient.

    First by the name of the image, then by the number of the frame. No result is looked at.

    Args:
        records: of a machine.
        task: says which findings count.
        count: at most.
    """
    positions = records.positions("test")
    rows = records.rows.iloc[positions]
    rows = rows.assign(position=positions, number=rows["frame"].map(lambda frame: int(frame or 0)))
    rows = rows[task.truth(rows) == 1].sort_values(["image_id", "number"])
    return [int(one) for one in rows.drop_duplicates("patient_id")["position"].head(count)]


def line_of(records: Records, position: int, task: Segmentation, machine: str, folders: Mapping[str, Path]) -> Line:
    """A picture with its finding and all calls.

    Args:
        records: of the machine.
        position: in them.
        task: says which findings count.
        machine: named beside the picture.
        folders: title of a row -> its folder on this machine, with `masks/`.

    Raises:
        MammoError: `picture_broken`, `record_damaged`.
    """
    image = records.marks(position)
    name, frame = str(image.row["image_id"]), str(image.row["frame"] or "")
    truth = task.stored_truth(image)
    to_prepared = invert(image.affine)
    calls: dict[str, Call | None] = {}
    for title, folder in folders.items():
        path = mask_path(folder / MASKS, name, frame)
        called = read_picture(path) > 0 if path.is_file() else None
        if called is None or called.shape != truth.shape:
            calls[title] = None
        else:
            calls[title] = Call(moved(outlines(called), to_prepared), overlap(called, truth)["dsc"])
    rows, columns = records.size
    window = near_window(task.mask_of(image)) or (0, 0, columns, rows)
    shown = name if len(name) <= LETTERS else f"...{name[-LETTERS:]}"
    title = f"{machine}\n{shown}{f', frame {frame}' if frame else ''}"
    return Line(title, records.picture(position), moved(outlines(truth), to_prepared), window, calls)


def moved(found: Sequence[Outline], matrix: NDArray[np.float64]) -> tuple[Outline, ...]:
    """Outlines in another picture, whose pixels have their centres at whole numbers.

    Args:
        found: closed outlines, (0, 0) the upper left corner of the first pixel, as `reporting.overlays.outlines`.
        matrix: `[2, 3]`, maps (x, y, 1) of pixels' centres to (x, y) of the other picture.
    """
    placed = [(np.array(one) - 0.5) @ matrix[:, :2].T + matrix[:, 2] for one in found]
    return tuple(tuple((float(x), float(y)) for x, y in one) for one in placed)


def overlay_figure(lines: Sequence[Line]) -> Figure:
    """A line a picture: whole, near with its finding, and near with what each row calls.

    Args:
        lines: of the same rows; at least one.
    """
    titles = list(lines[0].calls)
    left, top, right, bottom = lines[0].window
    height = PANEL * (bottom - top) / (right - left)
    with drawing((height + 0.2) * len(lines) + 0.5, PANEL * (2 + len(titles)) + 0.4) as figure:
        grid = figure.subplots(len(lines), 2 + len(titles), squeeze=False)
        for number, (line, panels) in enumerate(zip(lines, grid, strict=True)):
            _whole(panels[0], line)
            _near(panels[1], line, None)
            for panel, title in zip(panels[2:], titles, strict=True):
                call = line.calls[title]
                _near(panel, line, call)
                panel.set_xlabel("no mask" if call is None else f"Dice {100 * call.dice:.0f} %", fontsize=7, labelpad=2)
            if not number:
                for panel, title in zip(panels, ["Whole", "Finding", *titles], strict=True):
                    panel.set_title(title, pad=3)
        handles = [
            Line2D([], [], color=TRUE, linestyle=DASH, path_effects=_halo(), label="finding"),
            Line2D([], [], color=CALLED, path_effects=_halo(), label="called"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def _whole(panel: Axes, line: Line) -> None:
    rows, columns = line.picture.shape
    _picture(panel, line, (0, 0, columns, rows))
    left, top, right, bottom = line.window
    box = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=TRUE, linewidth=0.8)
    panel.add_patch(box)
    panel.set_ylabel(line.title, fontsize=6)


def _near(panel: Axes, line: Line, call: Call | None) -> None:
    _picture(panel, line, line.window)
    if call is not None:
        _outlined(panel, call.outlines, CALLED, "-")
    _outlined(panel, line.truth, TRUE, DASH)


def _picture(panel: Axes, line: Line, window: Window) -> None:
    left, top, right, bottom = window
    shown = line.picture[top:bottom, left:right]
    place = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    low, high = np.percentile(shown, [0.5, 99.9])
    panel.imshow(shown, cmap="gray", vmin=low, vmax=max(high, low + 1), extent=place, interpolation="none")
    panel.set(xticks=[], yticks=[])
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _outlined(panel: Axes, found: Sequence[Outline], colour: str, dash: object) -> None:
    if found:
        curve = Curve.make_compound_path(*(Curve([*one, one[0]], closed=True) for one in found))
        panel.add_patch(
            PathPatch(curve, fill=False, edgecolor=colour, linewidth=0.9, linestyle=dash, path_effects=_halo())
        )


def _halo() -> list[withStroke]:
    return [withStroke(linewidth=2.0, foreground=HALO, alpha=0.55)]
