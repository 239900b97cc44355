"""Tables, workbooks, outlines and descriptions, damaged by number (`mutations`): read, or refused with a reason."""

from __future__ import annotations

import io
import plistlib
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from mutations import BLIND, WORDS  # noqa: E402 - it lies above this file

from mammo_tf.errors import MammoError  # noqa: E402
from mammo_tf.evaluation import read_predictions  # noqa: E402
from mammo_tf.reading.collections.inbreast import read_outlines  # noqa: E402
from mammo_tf.reading.ddsm_files import read_ics, read_overlay  # noqa: E402
from mammo_tf.reading.label_table import read_labels  # noqa: E402
from mammo_tf.reading.via_regions import read_regions  # noqa: E402
from mammo_tf.study import read_manifest, read_origin  # noqa: E402
from mammo_tf.study.workbook import sheet_rows  # noqa: E402

FILES = 250  # of each kind
SECONDS = 5.0  # of one file
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PARTS = {
    "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{LINKS}"><sheets><sheet name="all" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="r1" Target="worksheets/a.xml"/></Relationships>',
    "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>name</t></si><si><r><t>two </t></r><r><t>runs</t></r></si></sst>",
    "xl/worksheets/a.xml": f'<worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1">'
    '<v>61</v></c></row><row r="4"><c r="B4" t="inlineStr"><is><t>age</t></is></c></row></sheetData></worksheet>',
}
LABELS = (
    "path,label,patient_id,laterality,view,age,density,findings\n"
    'a.png,malignant,P1,L,CC,51,B,"[{""kind"": ""mass"", ""label"": ""malignant"", ""box"": [1, 2, 30, 40]}]"\n'
    "b/c.dcm,normal,P2,R,MLO,62,,\n"
)
MANIFEST = "image_id," + LABELS.replace("\na", "\n1,a").replace("\nb", "\n2,b")
PREDICTIONS = "image_id,patient_id,laterality,view,label,score\n1,a,L,CC,0,0.25\n2,a,R,CC,1,1e-3\n3,b,L,MLO,1,0.75\n"
ICS = "ics_version 1.0\nfilename B-3024-1\nPATIENT_AGE 42\nFILM\nDENSITY 4\nDIGITIZER LUMISYS\n" + (
    "LEFT_CC LINES 4696 PIXELS_PER_LINE 3024 BITS_PER_PIXEL 12 RESOLUTION 50 OVERLAY\n"
)
OVERLAY = (
    "TOTAL_ABNORMALITIES 1\nABNORMALITY 1\nLESION_TYPE MASS SHAPE OVAL MARGINS OBSCURED\nASSESSMENT 2\nSUBTLETY 3\n"
    + ("PATHOLOGY MALIGNANT\nTOTAL_OUTLINES 2\nBOUNDARY\n10 20 2 2 2 4 4 6 6 6 0 0 #\n\tCORE\n11 21 2 4 6 0 #\n")
)
REGIONS = (
    "#filename,file_size,region_shape_attributes,region_attributes\n"
    'a.jpg,1,"{""name"": ""polygon"", ""all_points_x"": [1, 9, 5], ""all_points_y"": [2, 2, 8]}","{}"\n'
    'a.jpg,1,"{""name"": ""ellipse"", ""cx"": 50, ""cy"": 60, ""rx"": 20, ""ry"": 5, ""theta"": 1.5}","{}"\n'
)
ORIGIN = '{"collection": "folder", "root": "/a", "labels": "", "labels_digest": "", "columns": {}, "values": {}}'


def outlines() -> bytes:
    points = ["(10.5, 20.25)", "(40.0, 20.0)", "(25.0, 60.0)"]
    roi = {"Name": "Mass", "NumberOfPoints": 3, "Point_px": points}
    return plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": 1, "ROIs": [roi]}]})


def packed(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def worded(data: bytearray, rng: np.random.Generator) -> None:
    """A field, a tag or a number more or another."""
    at, word = int(rng.integers(len(data) + 1)), WORDS[rng.integers(len(WORDS))]
    data[at : at + int(rng.integers(8))] = (word, b",", b'"', b"\n", b"<", b"]", b"&lol;", b"-")[rng.integers(8)]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    text = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        (worded, worded, *BLIND[:-1])[rng.integers(len(BLIND) + 1)](text, rng)
    return bytes(text)


def damaged_workbook(data: bytes, rng: np.random.Generator) -> bytes:
    """A part of it, or all of it."""
    if rng.random() < 0.3:
        return damaged(data, rng)
    parts = {name: text.encode() for name, text in PARTS.items()}
    name = list(parts)[rng.integers(len(parts))]
    return packed(parts | {name: damaged(parts[name], rng)})


@pytest.mark.parametrize(
    ("name", "data", "read", "damage"),
    [
        ("labels.csv", LABELS.encode(), read_labels, damaged),
        ("manifest.csv", MANIFEST.encode(), read_manifest, damaged),
        ("predictions.csv", PREDICTIONS.encode(), read_predictions, damaged),
        ("sheet.xlsx", packed({name: text.encode() for name, text in PARTS.items()}), sheet_rows, damaged_workbook),
        ("outlines.xml", outlines(), lambda path: read_outlines(path, "malignant"), damaged),
        ("case.ics", ICS.encode(), read_ics, damaged),
        ("case.OVERLAY", OVERLAY.encode(), read_overlay, damaged),
        ("regions.csv", REGIONS.encode(), read_regions, damaged),
        ("manifest.json", ORIGIN.encode(), lambda path: read_origin(path.with_suffix(".csv")), damaged),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_damaged_table_is_read_or_refused(
    name: str, data: bytes, read: Callable[[Path], Any], damage: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    read(path)
    refused = 0
    for number in range(FILES):
        path.write_bytes(damage(data, np.random.default_rng((5, number))))
        began = time.process_time()
        try:
            read(path)
        except MammoError as error:
            refused += 1
            assert error.code != "unforeseen"
        except Exception as error:
            raise AssertionError(f"file {number} of {name}") from error
        assert time.process_time() - began < SECONDS, f"file {number} of {name}"
    assert 0 < refused < FILES or name == "manifest.json"
