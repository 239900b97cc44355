"""Slices of a limited-angle sweep: projections of the layers, filtered, shifted and added.

The tube moves parallel to the chest wall, far away, so each projection shows a layer shifted along the rows by its
height times the tangent of the angle. Slices are made by filtered back-projection: a ramp filter along the sweep, then
for each height the mean of the projections shifted back. So what lies at another height is smeared along the sweep,
the more the farther it is away, as behind a real machine (J. T. Dobbins III and D. J. Godfrey, Digital x-ray
tomosynthesis: current state of the art and clinical potential, Physics in Medicine and Biology 48, 2003).
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mammo_tf.phantom.anatomy import Floats
from mammo_tf.phantom.drawing import Projection
from mammo_tf.phantom.exposure import (
    THINNEST,
    Signal,
    StoredPicture,
    crop_to_field,
    detect,
    equalised,
    field_of,
    filtered,
    optical_depth,
    stored_values,
)
from mammo_tf.phantom.layers import Layers
from mammo_tf.phantom.machine import Machine, Tomosynthesis


def reconstruct(
    projection: Projection, layers: Layers, machine: Machine, sweep: Tomosynthesis, rng: np.random.Generator
) -> StoredPicture:
    """The slices that a tomosynthesis machine stores, from the detector upwards, as one volume."""
    tangents = np.tan(np.deg2rad(np.linspace(-0.5, 0.5, sweep.projections) * sweep.sweep_deg))
    signals = [_expose(projection, layers, machine, tangent, sweep.projections, rng) for tangent in tangents]
    middle = signals[sweep.projections // 2]
    tissue = middle.inside & ~middle.muscle
    taken = []
    for signal in signals:
        picture = equalised(signal, machine)
        picture -= np.float32(np.median(picture[signal.inside & ~signal.muscle]))
        np.maximum(picture, THINNEST, out=picture)
        taken.append(ramp_filtered(picture, middle.spacing_mm, sweep))
    heights = slice_heights(projection.compressed_mm, sweep)
    slices = np.stack([back_projected(taken, tangents, height / middle.spacing_mm) for height in heights])
    slices -= np.float32(np.median(slices[:, tissue]))
    processed = np.stack([filtered(one, middle, machine.processing) for one in slices])
    pixels, window = stored_values(processed, machine.presentation)
    return StoredPicture(
        pixels, window, middle.spacing_mm, middle.offset_mm, middle.inside, middle.muscle,
        sweep.slice_mm, layers.findings_mm,
    )  # fmt: skip


def slice_heights(compressed_mm: float, sweep: Tomosynthesis) -> NDArray[np.float64]:
    """Heights of the slices' middles over the detector, mm, float64 [slices]."""
    count = max(int(np.ceil(compressed_mm / sweep.slice_mm)), 2)
    return np.asarray((np.arange(count) + 0.5) * sweep.slice_mm, dtype=np.float64)


def _expose(
    projection: Projection,
    layers: Layers,
    machine: Machine,
    tangent: float,
    exposures: int,
    rng: np.random.Generator,
) -> Signal:
    """One exposure of the sweep: every layer is shifted along the rows by its height times the tangent."""
    shifts = layers.heights_mm * tangent / projection.spacing_mm
    beam = machine.beam
    depth, thickness = np.zeros_like(projection.thickness_mm), np.zeros_like(projection.thickness_mm)
    for thick, gland, calcium, shift in zip(
        layers.thickness_mm, layers.gland_mm, layers.calcium_mm, shifts, strict=True
    ):
        depth += shifted(optical_depth(beam, thick, gland, calcium), shift)
        thickness += shifted(thick, shift)
    cropped, offset = crop_to_field(replace(projection, thickness_mm=thickness), machine)
    return detect(depth[field_of(projection, machine)], cropped, offset, machine, rng, exposures)


def shifted(picture: Floats, rows: float) -> Floats:
    """A picture moved downwards by a number of rows, linear between pixels; the edge goes on."""
    whole = int(np.floor(-rows))
    part, count = -rows - whole, len(picture)
    padded = cv2.copyMakeBorder(picture, max(-whole, 0), max(whole + 1, 0), 0, 0, cv2.BORDER_REPLICATE)
    first = max(whole, 0)
    return cv2.addWeighted(padded[first : first + count], 1 - part, padded[first + 1 : first + 1 + count], part, 0)


def ramp_filtered(picture: Floats, spacing_mm: float, sweep: Tomosynthesis) -> Floats:
    """Slow changes along the rows lowered: the factor rises from `low_frequencies` to 1 at the cutoff."""
    margin = picture.shape[0] // 4
    padded = cv2.copyMakeBorder(picture, margin, margin, 0, 0, cv2.BORDER_REPLICATE)
    rows = fft.next_fast_len(len(padded), real=True)
    frequency = fft.rfftfreq(rows, spacing_mm)
    rise = np.minimum(frequency / sweep.cutoff_per_mm, 1)
    factor = (sweep.low_frequencies + (1 - sweep.low_frequencies) * rise).astype(np.float32)
    spectrum = fft.rfft(padded, rows, axis=0) * factor[:, None]
    back = fft.irfft(spectrum, rows, axis=0)[margin : margin + len(picture)]
    return np.ascontiguousarray(back, dtype=np.float32)


def back_projected(projections: list[Floats], tangents: NDArray[np.float64], height_pixels: float) -> Floats:
    """The slice at a height: the mean of the projections, each shifted back by the height times its tangent."""
    total = np.zeros_like(projections[0])
    for picture, tangent in zip(projections, tangents, strict=True):
        total += shifted(picture, -height_pixels * tangent)
    return total / np.float32(len(projections))
