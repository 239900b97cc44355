"""What a picture's header says, in the package's own words. No name, no birth date, no free text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mammo_tf.reading.shades import Shades


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one picture or volume. Unknown is None, or "" for a word.

    Args:
        path: the file (or the folder of slices) that it was read from.
        rows, columns: size in pixels.
        frames: number of frames; more than 1 is a volume.
        bits: bits stored of a pixel; those of white in a picture without a header.
        modality: FFDM, DBT or FILM.
        laterality: L or R, the patient's.
        view: CC, MLO, ML, LM, LMO, XCCL, XCCM, FB, SIO, ISO, AT, CV.
        modifiers: view modifiers as words, such as `rolled_lateral`.
        implant: whether a breast implant is said to be present.
        spacing_mm: distance of pixel centres in mm, (between rows, between columns).
        spacing_source: the attribute that it was taken from.
        slice_distance_mm: distance of neighbouring frames of a volume in mm.
        manufacturer, model: of the machine, as written.
        voi: which VOI makes or made the picture: `lut1`, `window2`, `none`.
        windows: all windows of the header, (centre, width), in modality values.
        padding: lowest and highest stored value that is padding.
        photometric: MONOCHROME1 or MONOCHROME2.
        flipped: whether the header says that the picture is mirrored.
        partial: whether it shows a part of the breast only.
        synthetic_2d: whether it was computed from tomosynthesis.
        burned_in: whether lettering in the picture may identify somebody.
        age: the patient's age in years.
        for_processing: whether it is raw, and its pixels are those of `for_processing`.
        evidence: which elements said side, view, modifiers and kind.
        image_id, patient_id, exam_id: keyed hashes of the identifiers in the header.
        accepted: codes of judgements that would have refused it (`study.refusals`), and were told not to.
        warnings: what was doubtful and how it was read.
    """

    path: Path
    rows: int
    columns: int
    frames: int = 1
    bits: int = 16
    modality: str = ""
    laterality: str = ""
    view: str = ""
    modifiers: tuple[str, ...] = ()
    implant: bool | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    slice_distance_mm: float | None = None
    manufacturer: str = ""
    model: str = ""
    voi: str = "none"
    windows: tuple[tuple[float, float], ...] = ()
    padding: tuple[int, int] | None = None
    photometric: str = "MONOCHROME2"
    flipped: bool | None = None
    partial: bool | None = None
    synthetic_2d: bool = False
    burned_in: bool | None = None
    age: float | None = None
    for_processing: bool = False
    evidence: str = ""
    image_id: str = ""
    patient_id: str = ""
    exam_id: str = ""
    accepted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture and its facts.

    Args:
        source: the pixels, or what they are looked up in.
        facts: of the picture.
    """

    source: np.ndarray | Shades = field(repr=False)
    facts: Facts

    @cached_property
    def pixels(self) -> np.ndarray:
        """float32 `[rows, columns]` in [0, 1], bright is dense."""
        return self.source if isinstance(self.source, np.ndarray) else self.source[...]
