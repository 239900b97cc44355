"""Every code that a row of `rejects.csv` may have: what it says, what to do about it, and how to let the picture in.

Some refusals are facts: a file that ends too early cannot be read, whoever asks. Others are judgements: a
magnification view can be read well, and is not what screening shows. `--accept` lets in what a judgement refuses; what
a table may say in place of a header is told by the override too. `docs/refusals.md` is this table, held to it by a
test.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.fields import nearest

ACCEPT, NONE = "--accept", "none"
SIDE, VIEW = "laterality in labels.csv", "view in labels.csv"
_FETCH, _LEAVE, _CONVERT, _CORRECT = "fetch it again", "leave it out", "convert it", "correct the table"


class Refusal(NamedTuple):
    """One code.

    Attributes:
        code: short and stable.
        sentence: what it means, in general; the row's `reason` tells the case.
        remedy: what to do, in general.
        override: `--accept` (a judgement of ours), a column of the table of labels, another command, or `none`.
    """

    code: str
    sentence: str
    remedy: str
    override: str = NONE


REFUSALS = tuple(
    Refusal(*row)
    for row in (
        # the file
        ("file_missing", "a table names a file that is not there", "put it there"),
        ("not_a_file", "a folder, a socket or a device", "name its files"),
        ("unreadable", "the disk or its permissions do not let it be read", "mend that"),
        ("patient_missing", "neither table nor header says whose it is", _CORRECT),
        ("path_not_text", "the path is not UTF-8", "rename it"),
        ("path_outside", "the path leaves the data root", "move it, or correct the table"),
        ("value_unknown", "the file has a name that no table can write", "rename it"),
        ("not_dicom", "neither DICOM nor PNG, TIFF, PGM or JPEG", _LEAVE),
        ("truncated", "the file ends too early", _FETCH),
        ("bad_structure", "what it declares of its parts cannot be", _FETCH),
        ("too_deep", "sequences within sequences without end", _LEAVE),
        ("too_large", "it, or what it unfolds to, does not fit", _LEAVE),
        ("unknown_syntax", "a transfer syntax that is not read", _CONVERT),
        ("decoder_hangs", "reading it takes longer than two minutes", _CONVERT),
        ("decoder_crashed", "reading it kills the process, twice", _CONVERT),
        ("unforeseen", "a fault that nobody foresaw", "run it with -v, and report it"),
        # what it holds
        ("not_an_image", "a DICOM object without a picture", _LEAVE),
        ("no_pixels", "no pixel data", _FETCH),
        ("bad_pixels", "pixels that cannot be decoded, or are not those that the header tells", _FETCH),
        ("bad_value", "an element or a grey value that cannot be", _CORRECT, "stored_bits in labels.csv"),
        ("colour", "colour, or a transparent value", _CONVERT),
        ("turned", "it says that it must be turned before it is shown", "turn it, and its findings"),
        ("voi_unknown", "it has no such VOI", "take another"),
        ("wrong_size", "a film of another size than its collection's", _FETCH),
        # what kind of object it is
        (
            "wrong_modality",
            "the header does not say that this is a mammogram",
            _LEAVE,
            "modality DBT in labels.csv, for CT images and secondary captures",
        ),
        (
            "projections",
            "projections of a tomosynthesis",
            "take the reconstructed slices",
            "modality FFDM in labels.csv, where a description alone says so",
        ),
        ("for_processing", "raw data for processing", "take the file for presentation", "--for-processing"),
        ("screen_capture", "a screen, a page of a report or a drawing, by its description", _LEAVE, ACCEPT),
        ("cut_out", "a part of a picture, by its description", _LEAVE, ACCEPT),
        ("roi_mask", "a mask, by its description", "name it as the mask of a finding", ACCEPT),
        ("container", "a picture that stands in for a vendor's own data", "export the volume as DICOM", ACCEPT),
        ("specimen", "a tissue specimen", _LEAVE, ACCEPT),
        ("quality_control", "a quality control image", _LEAVE, ACCEPT),
        ("synthetic_2d", "computed from tomosynthesis, by the collection's table", _LEAVE),
        ("subtracted", "a subtracted contrast picture", _LEAVE),
        # what it shows
        ("magnification", "a magnification view", _LEAVE, ACCEPT),
        ("spot", "a spot compression view", _LEAVE, ACCEPT),
        ("tangential", "a tangential view", _LEAVE, ACCEPT),
        ("implant", "the header says that there is an implant", _LEAVE, ACCEPT),
        ("implant_displaced", "a view with the implant displaced", _LEAVE, ACCEPT),
        ("laterality_missing", "nothing tells the side", "tell it", SIDE),
        ("laterality_both", "the picture shows both breasts", _LEAVE, SIDE),
        ("laterality_contradictory", "the header tells two sides", "tell it", SIDE),
        ("laterality_picture", "the chest wall lies at the other side than the header says", "tell it", SIDE),
        ("view_missing", "nothing tells the view", "tell it", VIEW),
        ("view_contradictory", "the header tells two views", "tell it", VIEW),
        # volumes
        ("volume", "a volume, or several pages, where a picture is asked for", "name a frame"),
        ("volume_differs", "a volume of another size than its collection's table says", _FETCH),
        ("not_a_volume", "files that are not the slices of one volume", "leave only its slices there"),
        ("frames_missing", "a gap between the frames", _FETCH),
        ("frame_missing", "the volume has not so many frames", _CORRECT),
        ("series_missing", "the folder has not so many series", _CORRECT),
        ("rescale_differs", "frames whose grey values mean different things", _CONVERT),
        ("slice_distance_missing", "slabs by mm, and nothing tells the distance of the slices", "give slices"),
        # doubles and tables
        ("duplicate", "the same identifier, pixels or name as another file", "keep one", "--keep-all, for a name"),
        (
            "not_preferred",
            "another picture of the exam, side and view counts (docs/manifest.md has the rule)",
            "nothing",
            "--keep-all",
        ),
        ("row_twice", "rows of the collection's table differ on this picture", _CORRECT),
        ("table", "a table that was read, not a picture", "nothing"),
        ("not_in_table", "no table of the collection names it", _LEAVE),
        ("not_a_film", "not a film of the collection", _LEAVE),
        ("ljpeg", "lossless JPEG of DDSM's own", "convert it with the tool that the reason names"),
        # findings, and what becomes of them when pictures are prepared
        ("contours_broken", "outlines that cannot be read", _FETCH),
        ("ics_broken", "a description of DDSM that cannot be read", _FETCH),
        ("overlay_broken", "an outline of DDSM that cannot be read", _FETCH),
        ("findings_broken", "findings that are not what docs/manifest.md says", _CORRECT),
        ("finding_size", "a mask of another size than the picture", "give its own mask"),
        ("finding_outside", "a finding that lies outside the picture", _CORRECT),
        ("finding_empty", "a mask that is 0 everywhere", "leave the finding out"),
        ("finding_values", "a mask of more than two values", "one mask a finding"),
        ("breast_not_found", "nothing stands out from the background", _LEAVE, "another preset"),
        ("picture_too_large", "it does not fit the size that keeps its pixels", "a larger size"),
    )
)
BY_CODE = {one.code: one for one in REFUSALS}
_NEEDS = {ACCEPT: "accept", "--for-processing": "for_processing", "--keep-all": "keep_all", "labels.csv": "columns"}
ACCEPTABLE = tuple(one.code for one in REFUSALS if one.override == ACCEPT)


def override_of(code: str, options: Container[str] | None = None) -> str:
    """How a row of a code can be let in, as `rejects.csv` says it: `--accept CODE`, a column, `none`; "" not known.

    Args:
        code: of the refusal.
        options: what the collection takes (`reading.collections.options_of`): what it does not take is no way in; None
            for all.
    """
    found = BY_CODE.get(code)
    if found is None:
        return ""
    if options is not None and any(word in found.override and one not in options for word, one in _NEEDS.items()):
        return NONE
    return f"{ACCEPT} {code}" if found.override == ACCEPT else found.override


def checked_codes(codes: Iterable[str], where: str) -> tuple[str, ...]:
    """Codes whose refusals shall be accepted, in the order of `REFUSALS`.

    Args:
        codes: as they were written; blanks around them and empty ones do not count.
        where: who says so, for messages.

    Raises:
        MammoError: `code_unknown`; `code_not_acceptable` for a refusal that is not a judgement.
    """
    asked = [code.strip() for code in codes if code.strip()]
    for code in asked:
        if code not in BY_CODE:
            remedy = nearest(code, ACCEPTABLE) or f"Those that can be accepted are {', '.join(ACCEPTABLE)}"
            raise MammoError("code_unknown", f"{where}: no refusal has the code {code!r}", remedy)
        if code not in ACCEPTABLE:
            one = BY_CODE[code]
            other = f"Give {one.override}" if one.override != NONE else f"To be done: {one.remedy}"
            raise MammoError("code_not_acceptable", f"{where}: {code} cannot be accepted: {one.sentence}", other)
    return tuple(code for code in ACCEPTABLE if code in asked)


def accepted_cell(cell: str) -> str:
    """What a cell of the column `accepted` says, in one form: codes with blanks between; errors `checked_codes`."""
    return " ".join(checked_codes(cell.replace(",", " ").replace(";", " ").split(), "accepted"))
