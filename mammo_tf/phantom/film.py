"""Film: characteristic curve, lead letters, scratches, dust, plate edge, bright border, digitiser."""

from __future__ import annotations

import cv2
import numpy as np

from mammo_tf.phantom.anatomy import Floats
from mammo_tf.phantom.exposure import Signal, StoredPicture, Window
from mammo_tf.phantom.machine import Film, Machine


def develop(signal: Signal, machine: Machine, rng: np.random.Generator, text: str, mirrored: bool) -> StoredPicture:
    """A digitised film.

    Args:
        signal: what reached the film.
        machine: a machine of modality FILM.
        rng: places scratches, letters and margins.
        text: lead letters, "L CC".
        mirrored: the picture will be mirrored when stored, so letters are drawn mirrored here.
    """
    film = machine.film
    if film is None:
        raise ValueError(f"machine {machine.name} has no film")
    density = _characteristic(signal.quanta, film)
    _plate_edge(density, film, rng, signal.spacing_mm)
    if film.letters:
        _letters(density, signal, film, rng, text, mirrored)
    _damage(density, film, rng, signal.spacing_mm)
    noise = rng.standard_normal(density.shape, dtype=np.float32)
    density += noise * np.float32(film.digitiser_noise) * (np.float32(0.5) + density / np.float32(film.max_density))
    _border(density, film, rng, signal.spacing_mm)
    levels = (1 << machine.presentation.bits) - 1
    shown = 1 - np.clip(density / np.float32(film.digitiser_density), 0, 1)
    if machine.presentation.photometric == "MONOCHROME1":
        shown = 1 - shown
    pixels = np.rint(shown * levels).astype(np.uint16)
    return StoredPicture(pixels, Window("none"), signal.spacing_mm, signal.offset_mm, signal.inside, signal.muscle)


def _characteristic(quanta: Floats, film: Film) -> Floats:
    """Optical density: an S-shaped curve over log exposure, through the target density at the mean exposure."""
    span = film.max_density - film.fog
    share = np.clip((film.target_density - film.fog) / span, 0.02, 0.98)
    rate = 4 * film.gamma / span
    shift = np.log(1 / share - 1)
    return (film.fog + span / (1 + np.exp(shift - rate * np.log10(quanta)))).astype(np.float32)


def _plate_edge(density: Floats, film: Film, rng: np.random.Generator, spacing_mm: float) -> None:
    """Margins that the plate kept from the light: clear film on the sides away from the chest wall."""
    rows, columns = density.shape
    blur = np.float32(0.15)
    for side in ("top", "bottom", "nipple"):
        if rng.random() < 0.4 or not film.plate_edge_mm:
            continue
        width = rng.uniform(0.2, 1.0) * film.plate_edge_mm / spacing_mm
        slant = rng.normal(0.0, 0.004)
        along = np.arange(columns if side != "nipple" else rows, dtype=np.float32)
        line = width + slant * (along - along.mean())
        if side == "nipple":
            clear = np.clip((np.arange(columns)[None, :] - (columns - 1 - line)[:, None]) + 0.5, 0, 1)
        else:
            place = np.arange(rows)[:, None]
            clear = np.clip((line[None, :] - (place if side == "top" else rows - 1 - place)) + 0.5, 0, 1)
        clear = clear.astype(np.float32)
        density += clear * (np.float32(film.fog) + blur * np.float32(rng.random()) - density)


def _letters(density: Floats, signal: Signal, film: Film, rng: np.random.Generator, text: str, mirrored: bool) -> None:
    """Lead letters on the nipple's side near the axilla, clear of the breast, sometimes askew."""
    height = rng.uniform(5.5, 8.0) / signal.spacing_mm
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(round(1.1 / signal.spacing_mm), 1)
    scale = height / cv2.getTextSize(text, font, 1.0, 1)[0][1]
    (width, tall), below = cv2.getTextSize(text, font, scale, thick)
    pad = 2 * thick
    lead = np.zeros((tall + below + 2 * pad, width + 2 * pad), dtype=np.uint8)
    cv2.putText(lead, text, (pad, pad + tall), font, scale, 255, thick, cv2.LINE_AA)
    stamp: Floats = lead.astype(np.float32) / 255
    turn = 90.0 * int(rng.random() < 0.4) + rng.normal(0.0, 4.0)
    side = int(np.ceil(np.hypot(*stamp.shape)))
    matrix = cv2.getRotationMatrix2D((stamp.shape[1] / 2, stamp.shape[0] / 2), turn, 1.0)
    matrix[:, 2] += [side / 2 - stamp.shape[1] / 2, side / 2 - stamp.shape[0] / 2]
    stamp = cv2.warpAffine(stamp, matrix, (side, side), flags=cv2.INTER_LINEAR)
    stamp = cv2.GaussianBlur(stamp, (0, 0), max(0.15 / signal.spacing_mm, 0.3))
    if mirrored:
        stamp = stamp[:, ::-1]
    rows, columns = density.shape
    for _ in range(12):
        top = int(rng.uniform(0.02, 0.25) * rows)
        left = int(rng.uniform(0.5, 1.0) * max(columns - side - 4, 1))
        place = (slice(top, top + side), slice(left, left + side))
        if density[place].shape == stamp.shape and not signal.inside[place].any():
            density[place] += stamp * (np.float32(film.fog + 0.1) - density[place])
            return


def _damage(density: Floats, film: Film, rng: np.random.Generator, spacing_mm: float) -> None:
    """Scratches take emulsion away (bright) or mark it (dark); dust is small and bright."""
    rows, columns = density.shape
    drawn = np.zeros(density.shape, dtype=np.float32)
    for _ in range(rng.poisson(film.scratches)):
        start = rng.uniform(0, 1, 2) * (columns, rows)
        angle, length = rng.normal(np.pi / 2, 0.5), rng.uniform(15, 110) / spacing_mm
        way = np.linspace(0, 1, 6)
        bend = rng.normal(0.0, 0.012) * length
        points = start + np.stack([way * length * np.cos(angle) + bend * way**2, way * length * np.sin(angle)], axis=1)
        depth = float(rng.uniform(0.08, 0.3) * rng.choice([-1.0, 1.0], p=[0.75, 0.25]))
        cv2.polylines(drawn, [points.round().astype(np.int32)], False, depth, 1, cv2.LINE_8)
    count = rng.poisson(film.dust)
    for x, y, depth in zip(
        rng.integers(0, columns, count), rng.integers(0, rows, count), rng.uniform(0.1, 0.6, count), strict=True
    ):
        cv2.circle(drawn, (int(x), int(y)), int(rng.integers(0, 2)), -float(depth), -1, cv2.LINE_8)
    density += cv2.GaussianBlur(drawn, (0, 0), 0.6)
    np.maximum(density, np.float32(0.02), out=density)


def _border(density: Floats, film: Film, rng: np.random.Generator, spacing_mm: float) -> None:
    """Bright stripes where the scanner saw light past the film; never on the chest wall's side."""
    for stripe in ("top", "bottom", "nipple"):
        width = int(rng.uniform(0.2, 1.0) * film.border_mm / spacing_mm)
        if not width or rng.random() < 0.5:
            continue
        if stripe == "nipple":
            density[:, -width:] = 0.0
        else:
            density[slice(width) if stripe == "top" else slice(-width, None)] = 0.0
