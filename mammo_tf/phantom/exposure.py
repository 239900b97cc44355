"""From millimetres of tissue to stored values of a digital machine; film shares all but the last step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.phantom.anatomy import Floats
from mammo_tf.phantom.drawing import Projection
from mammo_tf.phantom.machine import Beam, Detector, Machine, Presentation, Processing

SATURATION = 30.0  # signal, in units of the breast's mean, beyond which the detector is full
THINNEST = np.float32(-1.6)  # log signal of the thinnest breast, against its median
SCATTER_SHRINK = 10  # scatter is so smooth that it is blurred at a tenth of the resolution


@dataclass(frozen=True)
class Window:
    """What a viewer is asked to do with stored values: `kind` none, window, sigmoid or table."""

    kind: str
    centre: float = 0.0
    width: float = 0.0
    table: NDArray[np.uint16] | None = None


@dataclass(frozen=True)
class StoredPicture:
    """A picture as it goes into a file, still with the chest wall at the left edge.

    Args:
        pixels: uint16 [rows, columns]; of a volume [frames, rows, columns], from the detector upwards.
        window: see `Window`.
        spacing_mm: of its pixels, rows and columns alike.
        offset_mm: what was cut off above and left of it, (row, column), in mm of the field.
        inside: breast (or muscle), bool [rows, columns].
        muscle: pectoral muscle, bool [rows, columns].
        slice_mm: distance of a volume's frames; 0 for a picture.
        findings_mm: of a volume, height of each finding over the detector.
    """

    pixels: NDArray[np.uint16]
    window: Window
    spacing_mm: float
    offset_mm: tuple[float, float]
    inside: NDArray[np.bool_]
    muscle: NDArray[np.bool_]
    slice_mm: float = 0.0
    findings_mm: tuple[float, ...] = ()

    def frame_at(self, height_mm: float) -> int:
        """The frame of a volume, counted from 1, that shows a height over the detector."""
        return min(max(int(height_mm // self.slice_mm) + 1, 1), len(self.pixels))


@dataclass(frozen=True)
class Signal:
    """What reaches the detector, in the machine's pixels: `quanta` in units of the breast's mean, float32."""

    quanta: Floats
    inside: NDArray[np.bool_]
    muscle: NDArray[np.bool_]
    missing_mm: Floats
    spacing_mm: float
    offset_mm: tuple[float, float]


def field_of(projection: Projection, machine: Machine) -> tuple[slice, slice]:
    """Rows and columns of the machine's field in the phantom's: MLO loses rows above, CC above and below alike."""
    spacing = projection.spacing_mm
    rows, columns = (
        min(round(length / spacing), size)
        for length, size in zip(machine.field_mm, projection.thickness_mm.shape, strict=True)
    )
    spare = projection.thickness_mm.shape[0] - rows
    top = spare if projection.muscle.any() else spare // 2
    return slice(top, top + rows), slice(0, columns)


def crop_to_field(projection: Projection, machine: Machine) -> tuple[Projection, tuple[float, float]]:
    """The machine's field of a projection, and what was cut off above and left of it, (row, column), in mm."""
    cut = field_of(projection, machine)
    maps = ("thickness_mm", "gland_mm", "calcium_mm", "muscle")
    return replace(projection, **{name: getattr(projection, name)[cut] for name in maps}), (
        cut[0].start * projection.spacing_mm,
        0.0,
    )


def expose(projection: Projection, machine: Machine, rng: np.random.Generator) -> Signal:
    """Beer-Lambert along the beam, scatter, detector blur, the machine's pixels, exposure control, noise."""
    cropped, offset = crop_to_field(projection, machine)
    depth = optical_depth(machine.beam, cropped.thickness_mm, cropped.gland_mm, cropped.calcium_mm)
    return detect(depth, cropped, offset, machine, rng)


def optical_depth(beam: Beam, thickness_mm: Floats, gland_mm: Floats, calcium_mm: Floats) -> Floats:
    """What the beam loses on its way, as a natural logarithm; float32, of the maps' shape."""
    depth = beam.fat_per_mm * thickness_mm
    depth += (beam.gland_per_mm - beam.fat_per_mm) * gland_mm
    depth += beam.calcium_per_mm * calcium_mm
    return depth


def detect(
    depth: Floats,
    cropped: Projection,
    offset_mm: tuple[float, float],
    machine: Machine,
    rng: np.random.Generator,
    exposures: int = 1,
) -> Signal:
    """What the detector makes of the beam.

    Args:
        depth: see `optical_depth`; in the machine's field.
        cropped: the projection in that field.
        offset_mm: of the field, see `crop_to_field`.
        exposures: among how many the photons are shared out.
    """
    primary: Floats = np.exp(-depth)
    detector, spacing = machine.detector, cropped.spacing_mm
    if detector.blur_mm > 0.1 * spacing:
        primary = cv2.GaussianBlur(primary, (0, 0), detector.blur_mm / spacing)
    size = tuple(round(length / machine.spacing_factor) for length in primary.shape[::-1])
    interpolation = cv2.INTER_AREA
    fine = primary.shape[::-1] != size

    def resize(picture: Floats) -> Floats:
        return cv2.resize(picture, size, interpolation=interpolation) if fine else picture

    primary = resize(primary)
    inside = resize(cropped.thickness_mm) > 0.02 * cropped.compressed_mm
    spacing *= machine.spacing_factor
    total = primary + _scatter(primary * inside, detector, spacing)
    quanta: Floats = total / np.float32(total[inside].mean())
    np.minimum(quanta, np.float32(SATURATION), out=quanta)
    quanta += _noise(rng, quanta, detector, spacing, exposures)
    np.maximum(quanta, np.float32(1e-4), out=quanta)
    missing = (cropped.compressed_mm - resize(cropped.thickness_mm)) * inside
    return Signal(quanta, inside, resize(cropped.muscle) > 0.05, missing, spacing, offset_mm)


def _scatter(primary: Floats, detector: Detector, spacing_mm: float) -> Floats:
    small = cv2.resize(primary, None, fx=1 / SCATTER_SHRINK, fy=1 / SCATTER_SHRINK, interpolation=cv2.INTER_AREA)
    sigma = detector.scatter_mm / spacing_mm / SCATTER_SHRINK
    small = cv2.GaussianBlur(small, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, primary.shape[::-1], interpolation=cv2.INTER_LINEAR) * np.float32(
        detector.scatter_to_primary
    )


def _noise(rng: np.random.Generator, quanta: Floats, detector: Detector, spacing_mm: float, exposures: int) -> Floats:
    photons = np.float32(detector.photons_per_mm2 * spacing_mm**2 / exposures)
    noise = rng.standard_normal(quanta.shape, dtype=np.float32) * np.sqrt(quanta / photons)
    if detector.grain > 0:
        grain: Floats = rng.standard_normal(quanta.shape, dtype=np.float32)
        if detector.grain_mm > 0.3 * spacing_mm:
            grain = cv2.GaussianBlur(grain, (0, 0), detector.grain_mm / spacing_mm)
            grain = grain / grain.std()
        noise += grain * quanta * np.float32(detector.grain)
    return noise


def process(signal: Signal, machine: Machine) -> Floats:
    """The vendor's processing: log signal, 0 at the breast's median, growing with dense tissue; float32."""
    picture = equalised(signal, machine)
    picture -= np.float32(np.median(picture[signal.inside & ~signal.muscle]))
    # Air would shine into the breast through the filters: they see it as the thinnest breast.
    np.maximum(picture, THINNEST, out=picture)
    return filtered(picture, signal, machine.processing)


def equalised(signal: Signal, machine: Machine) -> Floats:
    """Log signal, growing with dense tissue, with the breast's rounding at its edge evened out; float32."""
    picture = -np.log(signal.quanta)
    if machine.processing.equalise > 0:
        picture += np.float32(machine.processing.equalise * machine.beam.fat_per_mm) * signal.missing_mm
    return picture


def filtered(picture: Floats, signal: Signal, processing: Processing) -> Floats:
    """The vendor's filters on log signal that is 0 at the breast's median; float32 [rows, columns]."""
    spacing = signal.spacing_mm
    if processing.denoise_mm > 0.2 * spacing:
        picture = cv2.GaussianBlur(picture, (0, 0), processing.denoise_mm / spacing)
    steps = ((processing.sharpen, processing.sharpen_mm), (processing.local_contrast, processing.local_contrast_mm))
    result: Floats = picture.copy()
    for strength, sigma_mm in steps:
        if strength:
            result += np.float32(strength) * (picture - _smooth(picture, sigma_mm / spacing))
    result[~signal.inside] = np.minimum(result[~signal.inside], picture[~signal.inside])
    return result


def _smooth(picture: Floats, sigma: float) -> Floats:
    """A Gaussian blur; a wide one is done on a reduced picture."""
    shrink = int(sigma // 3)
    if shrink < 2:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    small = cv2.resize(picture, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
    return cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)


def present(signal: Signal, machine: Machine) -> StoredPicture:
    """The "for presentation" picture of a digital machine."""
    pixels, window = stored_values(process(signal, machine), machine.presentation)
    return StoredPicture(pixels, window, signal.spacing_mm, signal.offset_mm, signal.inside, signal.muscle)


def stored_values(processed: Floats, look: Presentation) -> tuple[NDArray[np.uint16], Window]:
    """Processed log signal by a machine's curve as it is stored, and what a viewer is asked to do with it."""
    shown = processed * np.float32(look.gain) + np.float32(look.centre)
    levels = (1 << look.bits) - 1
    if look.curve == "sigmoid":
        shown = 1 / (1 + np.exp(np.float32(-look.slope) * (shown - np.float32(0.5))))
    window, stored = _window(look, shown, levels)
    if look.photometric == "MONOCHROME1":
        stored = levels - stored
        window = replace(window, centre=levels - window.centre)
        if window.table is not None:
            window = replace(window, table=(levels - window.table[::-1]).astype(np.uint16))
    return np.clip(np.rint(stored), 0, levels).astype(np.uint16), window


def _window(look: Presentation, shown: Floats, levels: int) -> tuple[Window, Floats]:
    """How display values are stored, and what turns them back."""
    if look.voi == "window":  # some room above and below the window
        return Window("window", round(0.5 * levels), round(0.8 * levels)), (shown * 0.8 + 0.1) * levels
    if look.voi == "sigmoid":
        width = round(0.35 * levels)
        centre = round(0.5 * levels)
        shown = np.clip(shown, 0.002, 0.998)
        return Window("sigmoid", centre, width), centre - width / 4 * np.log(1 / shown - 1)
    if look.voi == "table":  # stored as the square root of what is shown
        entries = np.rint((np.arange(levels + 1) / levels) ** 2 * levels).astype(np.uint16)
        return Window("table", table=entries), np.sqrt(np.clip(shown, 0, 1)) * levels
    return Window("none"), shown * levels
