"""Files to pictures and facts, or a refusal with a reason."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.dicom_file import is_dicom, open_dicom, refusals
from mammo_tf.reading.display import Display, display_rules, shades
from mammo_tf.reading.facts import Facts, Picture
from mammo_tf.reading.for_processing import attenuation
from mammo_tf.reading.grey_scale import even_doubt, full_scale, inverted_doubt, unused_bits_doubt
from mammo_tf.reading.header_facts import check_given, header_facts
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.reading.layout import Layout, layout
from mammo_tf.reading.pictures import GreyPicture, picture_kind, read_picture
from mammo_tf.reading.stored import check_pixels, stored_frames

_HEAD_BYTES = 140
# Chest wall: share of the columns looked at, share of bright pixels in them, and what is bright.
_BAND, _EMPTY_BELOW, _FULL_ABOVE, _TISSUE_ABOVE = 0.05, 0.02, 0.4, 0.02


def file_kind(path: str | Path) -> str:
    """`dicom` or `picture` (PNG, TIFF, PGM, JPEG), told by content.

    Raises:
        MammoError: `file_missing`, `not_a_file`, `unreadable`, `not_dicom`.
    """
    path = Path(path)
    with refusals(path):
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "not a regular file"
            raise MammoError("not_a_file", f"{path} is {what}", "A folder of slices is read by reading.frames")
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if not head:
            raise MammoError("not_dicom", "the file is empty: a download that stopped?", "Fetch it again")
        if is_dicom(head):
            return "dicom"
        # A file that calls itself DICOM and is not was renamed by mistake: golden/dicom/hostile, picture.png.dcm.
        if picture_kind(head) and path.suffix.lower() not in (".dcm", ".dicom"):
            return "picture"
        raise MammoError("not_dicom", "neither a DICOM file nor a PNG, TIFF, PGM or JPEG", "Leave it out")


def inspect_file(
    path: str | Path,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
    keep_identifiers: bool = False,
    stored_bits: int | None = None,
    modality: str | None = None,
    accepted: Sequence[str] = (),
    for_processing: bool = False,
) -> Facts:
    """Facts of a picture or volume; of a DICOM file no pixel is decoded.

    Args:
        path: a DICOM, PNG, TIFF, PGM or JPEG file.
        voi: which VOI `facts.voi` names; see `read`.
        laterality, view: what a table says of the file (L or R; CC, MLO, ...); counts before the header, so that
            files with stripped headers can be taken.
        keep_identifiers: as for `header_facts`.
        stored_bits: as for `read`.
        modality: what a table says; DBT takes a CT image or a secondary capture whose header does not tell the breast.
        accepted: codes of judgements that shall not refuse it (`study.refusals.ACCEPTABLE`).
        for_processing: takes raw pictures too, by the way of the module `for_processing`; they are refused else.

    Raises:
        MammoError: as `read`, but for what only shows when pixels are decoded.
    """
    path = Path(path)
    with refusals(path):
        if file_kind(path) == "picture":
            return _picture_facts(path, read_picture(path, stored_bits), laterality, view)
        with open_dicom(path, accepted) as file:
            shape = layout(file)
            check_pixels(file, shape)
            return header_facts(file, shape, voi, laterality, view, keep_identifiers, modality, for_processing)


def read(
    path: str | Path,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
    stored_bits: int | None = None,
    modality: str | None = None,
    accepted: Sequence[str] = (),
    for_processing: bool = False,
) -> Picture:
    """One picture as a viewer shows it, with its facts.

    Args:
        path: a DICOM, PNG, TIFF, PGM or JPEG file. Of pictures, black and white are what the file states (TIFF
            photometric interpretation and MaxSampleValue, PNG significant bits, largest value of a PGM), else 0 and
            255 or 65535.
        voi: `default` (a table before a window, the first of each), `lut1`, `window2`, ..., or `none`.
        laterality, view: as for `inspect_file`.
        stored_bits: of how many bits the values are, by a table: white is 2**stored_bits - 1. It counts before what the
            file states, and in a DICOM file where no VOI is applied.
        modality, accepted, for_processing: as for `inspect_file`.

    Returns:
        `pixels` float32 `[rows, columns]` in [0, 1], bright is dense, padding 0; computed in float64
        (golden/dicom/display). `facts.warnings` tells too what only the pixels show.

    Raises:
        MammoError: `volume` for a file of several frames; `file_missing`, `not_a_file`, `unreadable`; `not_dicom`,
            `not_an_image`, `truncated`, `bad_structure`, `too_deep`, `too_large`, `unknown_syntax`, `bad_value`,
            `no_pixels`, `bad_pixels`, `colour`, `turned`; `voi_unknown`; `laterality_picture` where the picture lies
            the other way round than the header says; and those of `header_facts`.
    """
    path = Path(path)
    with refusals(path):
        if file_kind(path) == "picture":
            grey = read_picture(path, stored_bits)
            if voi not in ("default", "none"):
                raise MammoError("voi_unknown", f"there is no VOI {voi!r} in a picture", "There are default, none")
            return Picture(grey.pixels, _picture_facts(path, grey, laterality, view))
        with open_dicom(path, accepted) as file:
            shape = layout(file)
            check_pixels(file, shape)
            facts = header_facts(
                file, shape, voi, laterality, view, told_modality=modality, for_processing=for_processing
            )
            if shape.frames > 1:
                raise MammoError("volume", f"a volume of {shape.frames} frames", "Read it with reading.frames")
            rules = display_rules(file.header, shape, [])
            (stored,) = stored_frames(file, shape, [0])
            doubt: list[str] = []
            if facts.for_processing:
                found = attenuation(stored, file.header, shape, rules)
            else:
                scale, doubt = white_of(stored, shape, rules, facts.voi, stored_bits)
                found = shades(stored, scale, rules, facts.voi)
            # Films have borders and letters, mosaics may miss the chest wall: only whole digital pictures can tell.
            tells = laterality is None and facts.modality == "FFDM" and not facts.partial
            if tells and chest_wall_contradicts(found[...], file.header.texts("PatientOrientation")):
                raise MammoError(
                    "laterality_picture",
                    "the chest wall lies at the other side than Patient Orientation says",
                    "Give laterality and view in a table",
                )
            seen = [*file.warnings, *doubt, *even_doubt(found), *inverted_doubt(found)]
            return Picture(found, replace(facts, warnings=tuple(dict.fromkeys((*facts.warnings, *seen)))))


def white_of(
    stored: np.ndarray, shape: Layout, rules: Display, voi: str, stored_bits: int | None
) -> tuple[Layout, list[str]]:
    """The layout that tells white where no VOI does, and what is doubtful about it."""
    if voi != "none" or shape.signed or rules.modality_table is not None:
        return shape, []
    largest = int(stored.max())
    if rules.padding is not None:
        low, high = rules.padding
        largest = int(stored.max(initial=0, where=(stored < low) | (stored > high)))
    if stored_bits is None:
        return shape, unused_bits_doubt(largest, (1 << shape.bits_stored) - 1)
    full_scale(largest, shape.bits_stored, stored_bits, None)
    return shape._replace(bits_stored=stored_bits), []


def read_stored(path: str | Path) -> np.ndarray:
    """The stored integers before any table; what the header says of the patient does not matter here.

    Of pictures without a header 0 is black, whatever the polarity of the file.

    Returns:
        `[rows, columns]`, or `[frames, rows, columns]` in stored order if there are several; (u)int8 or (u)int16.

    Raises:
        MammoError: those of `read` that concern file and pixels.
    """
    path = Path(path)
    with refusals(path):
        if file_kind(path) == "picture":
            return read_picture(path).values
        with open_dicom(path) as file:
            shape = layout(file)
            check_pixels(file, shape)
            frames = stored_frames(file, shape, range(shape.frames))
            if shape.frames == 1:
                return next(frames)
            volume = np.empty((shape.frames, shape.rows, shape.columns), dtype=shape.dtype)
            for index, frame in enumerate(frames):
                volume[index] = frame
            return volume


def _picture_facts(path: Path, grey: GreyPicture, laterality: str | None, view: str | None) -> Facts:
    check_given(laterality, view)
    return Facts(
        path=path,
        rows=grey.values.shape[0],
        columns=grey.values.shape[1],
        bits=grey.bits,
        laterality=laterality or "",
        view=view or "",
        image_id=keyed_hash("image", str(path)),
        warnings=grey.warnings,
    )


def chest_wall_contradicts(pixels: np.ndarray, patient_orientation: list[str]) -> bool:
    """Whether the chest wall lies at the side opposite to the one that Patient Orientation tells.

    The breast meets the picture's edge at the chest wall and not at the other side. It is a contradiction only if
    the band of 5 % of the columns at the side told is empty, and the one opposite has tissue in 40 % or more of its
    pixels: whole, unmagnified digital mammograms have a background of exactly one value.

    Args:
        pixels: `[rows, columns]` in [0, 1], bright is dense.
        patient_orientation: the two words of the header; the first is the direction of a row, A (to the front, so
            the chest wall is at the left) or P (to the back, at the right).
    """
    direction = patient_orientation[0][:1] if patient_orientation else ""
    if direction not in ("A", "P"):
        return False
    width = max(1, round(_BAND * pixels.shape[1]))
    background = float(np.median(np.concatenate([pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]])))
    ground = min(background, _TISSUE_ABOVE)
    left, right = (float((band > ground + _TISSUE_ABOVE).mean()) for band in (pixels[:, :width], pixels[:, -width:]))
    told, opposite = (left, right) if direction == "A" else (right, left)
    return told < _EMPTY_BELOW and opposite > _FULL_ABOVE
