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
from mammo_tf.files import DAMAGED
from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.study import Finding

HEAT = (255, 176, 59)  # amber: seen on grey with any kind of colour vision
HEAT_ROWS = 96  # the map is sampled to this many rows, the browser smooths the rest
OPACITY = 0.75  # of the strongest value of a map
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


def example_figure(example: Example, name: str = "example", rows: int = 560, strongest: float | None = None) -> Markup:
    """An `<svg>` of layers: the picture once, findings as outlines, the map as a second, transparent picture.

    Grey levels run from 0 to the 99.9th percentile of the picture. Of the map the positive part within the breast is
    shown; all of it where no breast stands out.

    Args:
        example: what to show.
        name: unique in the page, set before ids.
        rows: height at which the picture is stored, at most.
        strongest: value of the map that is drawn opaque; the map's own maximum by default.

    Raises:
        MammoError: `file_missing`, `picture_broken`, `heatmap_broken`.
    """
    stored = read_picture(example.picture)
    pixels = stored.astype(np.float64)
    height, width = pixels.shape
    white = max(float(np.percentile(pixels, 99.9)), 1.0)
    if height > rows:
        size = (max(1, round(width * rows / height)), rows)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float64)
    grey = np.clip(pixels / white * 255, 0, 255).round().astype(np.uint8)
    picture = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    outlines = "".join(_outline(finding, width) for finding in example.findings)
    layers = [
        f'<image id="{name}-picture" {picture} href="{data_address(grey)}"/>',
        f'<g id="{name}-findings">{outlines}</g>',
    ]
    shape, total = "example single", width
    if example.heatmap is not None:
        values = _read_map(example.heatmap)
        heat = data_address(_heat(values, strongest or map_maximum(example), segment(stored)))
        shift = round(width * (1 + GAP))
        shape, total = "example", shift + width
        layers.append(
            f'<g transform="translate({shift} 0)"><use href="#{name}-picture"/><image {picture} href="{heat}">'
            f'<title>where the evidence lies</title></image><use href="#{name}-findings"/></g>'
        )
    where = "; ".join(f"{finding.label} {finding.kind}" for finding in example.findings) or "no finding"
    about = escape(f"{example.title}. {where}")
    # Numbers, base64 and escaped text only.
    return Markup(
        f'<svg class="{shape}" viewBox="0 0 {total} {height}" role="img" aria-label="{about}">{"".join(layers)}</svg>'
    )


def map_maximum(example: Example) -> float:
    """The largest positive value of an example's map; 0 where there is none."""
    return 0.0 if example.heatmap is None else max(0.0, float(_read_map(example.heatmap).max()))


def fitting_rows(examples: Sequence[Example], budget: int) -> int:
    """The largest of a few heights at which all examples together stay under `budget` bytes of text."""
    for rows in (640, 560, 440, 320, 240):
        if sum(len(example_figure(example, "trial", rows)) for example in examples) <= budget:
            return rows
    return 160


def read_picture(path: Path) -> NDArray[np.uint16]:
    """A grey PNG of 8 or 16 bits as uint16 `[rows, columns]`; `file_missing`, `picture_broken`."""
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the picture {path} is not there")
    content = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if pixels is None or pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise MammoError("picture_broken", f"{path} is not a grey PNG of 8 or 16 bits")
    return as_uint16(pixels)


def _read_map(path: Path) -> NDArray[np.float32]:
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the class activation map {path} is not there")
    try:
        values = np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise MammoError("heatmap_broken", f"{path} is not a NumPy array: {error}") from error
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise MammoError("heatmap_broken", f"{path} is not a finite array of rows and columns")
    return np.asarray(values, np.float32)


def _heat(values: NDArray[np.float32], strongest: float, breast: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """BGRA uint8: one colour, its opacity the positive part of the map as a share of `strongest`, 0 off the breast."""
    height, width = breast.shape
    share = np.maximum(values, 0) / strongest if strongest > 0 else np.zeros_like(values)
    size = (max(1, round(HEAT_ROWS * width / height)), HEAT_ROWS)
    smooth = np.clip(cv2.resize(share, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    if breast.any():
        smooth = smooth * cv2.resize(breast.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    layer = np.empty((*smooth.shape, 4), np.uint8)
    layer[..., :3] = HEAT[::-1]
    layer[..., 3] = np.round(smooth * OPACITY * 255)
    return layer


def _outline(finding: Finding, width: int) -> str:
    """A rectangle a little apart from the finding, so that it hides no part of it; dark below light."""
    bounds = finding.bounds()
    if bounds is None:
        return ""
    apart = width * 0.012
    x0, y0, x1, y1 = bounds
    where = (
        f'x="{x0 - apart:.1f}" y="{y0 - apart:.1f}" width="{x1 - x0 + 2 * apart:.1f}" '
        f'height="{y1 - y0 + 2 * apart:.1f}" rx="{apart:.1f}"'
    )
    title = escape(f"{finding.label} {finding.kind}")
    return f'<rect class="halo" {where}/><rect class="finding" {where}><title>{title}</title></rect>'


def data_address(pixels: NDArray[np.uint8]) -> str:
    """A PNG as a data address."""
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode()
