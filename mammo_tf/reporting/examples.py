"""One example picture: the picture with its findings, and the same with the class activation map laid over it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.study import Finding

HEAT = (255, 176, 59)  # amber: seen on grey with any kind of colour vision
HEAT_ROWS = 96  # the map is sampled to this many rows, the browser smooths the rest
STRONGEST = 0.72  # opacity of the map's maximum
GAP = 0.04  # between the two pictures, share of the width


@dataclass(frozen=True)
class Example:
    """A picture to be shown.

    Args:
        picture: 16- or 8-bit grey PNG, as prepared.
        heatmap: .npy float32 `[rows, columns]`, class activation map of any size over the whole picture; or None.
        title: what is to be seen, shown below.
        score: of the model, or None.
        findings: in pixels of the picture.
    """

    picture: Path
    heatmap: Path | None
    title: str
    score: float | None
    findings: tuple[Finding, ...] = ()


def example_figure(example: Example, name: str = "example", rows: int = 560) -> Markup:
    """An `<svg>` of layers: the picture once, findings as outlines, the map as a second, transparent picture.

    Grey levels run from 0 to the 99.9th percentile of the picture. The positive part of the map is shown, scaled to
    its own maximum: places can be compared within a picture, not strengths between pictures.

    Args:
        example: what to show.
        name: unique in the page, set before ids.
        rows: height at which the picture is stored, at most.

    Raises:
        MammoError: `file_missing`, `picture_broken`, `heatmap_broken`.
    """
    pixels = _read_picture(example.picture)
    height, width = pixels.shape
    white = max(float(np.percentile(pixels, 99.9)), 1.0)
    if height > rows:
        size = (max(1, round(width * rows / height)), rows)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float64)
    grey = np.clip(pixels / white * 255, 0, 255).round().astype(np.uint8)
    picture = f'width="{width}" height="{height}"'
    layers = [f'<image id="{name}-picture" {picture} preserveAspectRatio="none" href="{_data(grey)}"/>']
    layers += [_outline(finding, width) for finding in example.findings]
    total = width
    if example.heatmap is not None:
        shift = round(width * (1 + GAP))
        total = shift + width
        heat = _data(_heat(_read_map(example.heatmap), height, width))
        layers.append(
            f'<g transform="translate({shift} 0)"><use href="#{name}-picture"/>'
            f'<image {picture} preserveAspectRatio="none" href="{heat}"><title>class activation map</title></image></g>'
        )
    where = "; ".join(f"{finding.label} {finding.kind}" for finding in example.findings) or "no finding"
    about = escape(f"{example.title}. {where}")
    # Numbers, base64 and escaped text only.
    return Markup(
        f'<svg class="example" viewBox="0 0 {total} {height}" role="img" aria-label="{about}">{"".join(layers)}</svg>'
    )


def fitting_rows(examples: Sequence[Example], budget: int) -> int:
    """The largest of a few heights at which all examples together stay under `budget` bytes of text."""
    for rows in (640, 560, 440, 320, 240):
        if sum(len(example_figure(example, "trial", rows)) for example in examples) <= budget:
            return rows
    return 160


def _read_picture(path: Path) -> NDArray[np.float64]:
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the example picture {path} is not there")
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise MammoError("picture_broken", f"{path} is not a grey PNG of 8 or 16 bits")
    return as_uint16(pixels).astype(np.float64)


def _read_map(path: Path) -> NDArray[np.float32]:
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the class activation map {path} is not there")
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise MammoError("heatmap_broken", f"{path} is not a NumPy array: {error}") from error
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise MammoError("heatmap_broken", f"{path} is not a finite array of rows and columns")
    return np.asarray(values, np.float32)


def _heat(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """BGRA uint8: one colour, its opacity the positive part of the map."""
    positive = np.maximum(values, 0)
    top = float(positive.max())
    share = positive / top if top > 0 else positive
    size = (max(1, round(HEAT_ROWS * width / height)), HEAT_ROWS)
    share = np.clip(cv2.resize(share, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    layer = np.empty((*share.shape, 4), np.uint8)
    layer[..., :3] = HEAT[::-1]
    layer[..., 3] = np.round(share * STRONGEST * 255)
    return layer


def _outline(finding: Finding, width: int) -> str:
    bounds = finding.bounds()
    if bounds is None:
        return ""
    x0, y0, x1, y1 = bounds
    title = escape(f"{finding.label} {finding.kind}")
    return (
        f'<rect class="finding" x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
        f'rx="{width * 0.01:.1f}"><title>{title}</title></rect>'
    )


def _data(pixels: NDArray[np.uint8]) -> str:
    """A PNG as a data address."""
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode()
