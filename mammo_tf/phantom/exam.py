"""One exam: a woman's two breasts in two views by the machines that she visits, written with their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.files import atomic_folder, write_json
from mammo_tf.phantom.anatomy import Breast, draw_woman, make_breast
from mammo_tf.phantom.dicom import Identity, write_dicom
from mammo_tf.phantom.drawing import Projection, ViewTruth, project
from mammo_tf.phantom.exposure import StoredPicture, expose, present
from mammo_tf.phantom.film import develop
from mammo_tf.phantom.ink import Ink, draw_ink
from mammo_tf.phantom.layers import Layers, make_layers
from mammo_tf.phantom.machine import Machine
from mammo_tf.phantom.projection import VIEWS
from mammo_tf.phantom.tomosynthesis import reconstruct
from mammo_tf.study import Finding, findings_to_json

LATERALITIES = ("L", "R")
# Streams of random numbers of a patient; a stream's use never shifts another's numbers.
WOMAN, BREAST, INK, VIEW, MACHINE, LAYER = range(6)


@dataclass(frozen=True)
class Patient:
    """A patient of the study before she is imaged.

    Args:
        patient_id: identifier, also the folder's name.
        number: her place in the study; with the study's seed it decides everything random about her.
        labels: label of the left and of the right breast.
        age: years.
        density: class A-D.
        pair_id: matched pair, or empty.
        split: train, validation, test, or empty.
        group: name of her group, or empty.
        sites: numbers of the machines (in the study's list) that image her.
    """

    patient_id: str
    number: int
    labels: tuple[str, str]
    age: int
    density: str
    pair_id: str
    split: str
    group: str
    sites: tuple[int, ...]


@dataclass(frozen=True)
class StudyPlan:
    """What all exams of a study share."""

    seed: int
    machines: tuple[Machine, ...]
    spacing_mm: float
    conspicuity: float


def stream(plan: StudyPlan, patient: Patient, *place: int) -> np.random.Generator:
    """Random numbers for one purpose of one patient, whoever asks and in whatever order."""
    return np.random.default_rng([plan.seed, patient.number, *place])


class View(NamedTuple):
    """A breast in a view, before any machine."""

    projection: Projection
    ink: Ink
    breast: Breast


def project_breasts(plan: StudyPlan, patient: Patient) -> dict[tuple[str, str], View]:
    """Both breasts in both views, by (laterality, view)."""
    woman = draw_woman(stream(plan, patient, WOMAN), patient.density, patient.age)
    result = {}
    for side, (laterality, label) in enumerate(zip(LATERALITIES, patient.labels, strict=True)):
        breast = make_breast(stream(plan, patient, BREAST, side), woman, laterality)
        ink = draw_ink(stream(plan, patient, INK, side), breast, label, plan.conspicuity)
        for number, view in enumerate(VIEWS):
            rng = stream(plan, patient, VIEW, side, number)
            result[laterality, view] = View(project(breast, ink, view, plan.spacing_mm, rng), ink, breast)
    return result


def take_apart(plan: StudyPlan, patient: Patient, seen: View, laterality: str, view: str) -> Layers:
    """The layers of a view, as a tomosynthesis machine needs them."""
    place = LATERALITIES.index(laterality), VIEWS.index(view)
    view_rng, layer_rng = (stream(plan, patient, purpose, *place) for purpose in (VIEW, LAYER))
    return make_layers(seen.projection, seen.breast, seen.ink, view, view_rng, layer_rng)


def render(plan: StudyPlan, patient: Patient, seen: View, site: int, laterality: str, view: str) -> StoredPicture:
    """What a machine of the study makes of a view; the chest wall is still at the left edge."""
    machine = plan.machines[site]
    rng = stream(plan, patient, MACHINE, site, LATERALITIES.index(laterality), VIEWS.index(view))
    if machine.tomosynthesis is not None:
        layers = take_apart(plan, patient, seen, laterality, view)
        return reconstruct(seen.projection, layers, machine, machine.tomosynthesis, rng)
    signal = expose(seen.projection, machine, rng)
    if machine.film is not None:
        return develop(signal, machine, rng, f"{laterality} {view}", mirrored=laterality == "R")
    return present(signal, machine)


def write_exams(plan: StudyPlan, patient: Patient, folder: Path) -> list[dict[str, Any]]:
    """Writes the exams of a patient at each of her sites and returns their manifest rows.

    `exams/<patient>/<site>/` holds `L_CC.dcm` and so on and `truth.json`; a folder that is there is whole.
    """
    projections = project_breasts(plan, patient)
    rows = []
    for site in patient.sites:
        machine = plan.machines[site]
        place = f"exams/{patient.patient_id}/{machine.name}"
        truth: dict[str, Any] = {
            "note": "positions in mm of the uncompressed breast: x chest wall to nipple, y lateral, z superior",
            "patient_id": patient.patient_id,
            "site": machine.name,
            "breasts": _breasts(patient, projections),
            "images": {},
            "rows": [],
        }
        with atomic_folder(folder / place) as beside:
            for (laterality, view), seen in projections.items():
                projection = seen.projection
                picture = render(plan, patient, seen, site, laterality, view)
                image = f"{laterality}_{view}"
                exam = f"{patient.patient_id}-{machine.name}"
                who = Identity(
                    patient.patient_id, exam, f"{exam}-{image}", laterality, view, patient.age, str(plan.seed)
                )
                write_dicom(beside / f"{image}.dcm", picture, machine, who, projection.compressed_mm)
                truth["images"][image] = _image_truth(picture, projection.findings, laterality)
                truth["rows"].append(_row(patient, machine, who, picture, projection, f"{place}/{image}.dcm"))
            write_json(beside / "truth.json", truth)
        rows += truth["rows"]
    return rows


def _row(
    patient: Patient, machine: Machine, who: Identity, picture: StoredPicture, projection: Projection, path: str
) -> dict[str, Any]:
    findings = [
        Finding(
            truth.finding.kind,
            truth.finding.label,
            contour=tuple((x, y) for x, y in to_stored(truth.contour_mm, picture, who.laterality).tolist()),
            frame=frame,
        )
        for truth, frame in zip(projection.findings, frames_of(picture, projection.findings), strict=True)
    ]
    return {
        "image_id": who.image_id,
        "patient_id": patient.patient_id,
        "exam_id": who.exam_id,
        "pair_id": patient.pair_id,
        "laterality": who.laterality,
        "view": who.view,
        "modality": machine.modality,
        "label": patient.labels[LATERALITIES.index(who.laterality)],
        "age": patient.age,
        "density": patient.density,
        "manufacturer": f"mammo_tf phantom {machine.manufacturer}",
        "site": machine.name,
        "spacing_row_mm": float(f"{picture.spacing_mm:.6g}"),
        "spacing_column_mm": float(f"{picture.spacing_mm:.6g}"),
        "path": path,
        "split": patient.split,
        "findings": findings_to_json(findings),
        "group": patient.group,
    }


def frames_of(picture: StoredPicture, findings: Sequence[ViewTruth]) -> list[int | None]:
    """The frame of each finding in a volume; None in a picture."""
    if not picture.slice_mm:
        return [None] * len(findings)
    return [picture.frame_at(height) for height in picture.findings_mm]


def to_stored(points_mm: NDArray, picture: StoredPicture, laterality: str) -> NDArray[np.float64]:
    """(column, row) in mm of a left picture -> x, y in pixels as stored, rounded to 0.01 and inside the picture."""
    rows, columns = picture.pixels.shape[-2:]
    pixels = (np.asarray(points_mm, dtype=np.float64) - picture.offset_mm[::-1]) / picture.spacing_mm
    if laterality == "R":
        pixels = pixels * [-1.0, 1.0] + [float(columns), 0.0]
    return np.asarray(np.round(np.clip(pixels, 0.0, [columns, rows]), 2), dtype=np.float64)


def _breasts(patient: Patient, projections: dict[tuple[str, str], View]) -> dict[str, Any]:
    result = {}
    for laterality, label in zip(LATERALITIES, patient.labels, strict=True):
        ink = projections[laterality, "CC"].ink
        result[laterality] = {
            "label": label,
            "findings": [
                {
                    "kind": finding.kind,
                    "label": finding.label,
                    "position_mm": [round(value, 3) for value in finding.position_mm],
                }
                for finding in ink.findings
            ],
            "ink": {"lumps": len(ink.lumps), "threads": len(ink.threads.points), "specks": len(ink.specks.elongation)},
        }
    return result


def _image_truth(picture: StoredPicture, findings: tuple[ViewTruth, ...], laterality: str) -> dict[str, Any]:
    placed = []
    for truth, frame in zip(findings, frames_of(picture, findings), strict=True):
        contour = to_stored(truth.contour_mm, picture, laterality)
        low, high = contour.min(axis=0), contour.max(axis=0)
        placed.append(
            {
                "kind": truth.finding.kind,
                "label": truth.finding.label,
                "centre": to_stored(np.array(truth.centre_mm), picture, laterality).tolist(),
                "box": [*low.tolist(), *high.tolist()],
                "contour": contour.tolist(),
                **({} if frame is None else {"frame": frame}),
            }
        )
    rows, columns = picture.pixels.shape[-2:]
    return {
        "rows": rows,
        "columns": columns,
        "breast": _polygon(picture.inside, laterality),
        "pectoral": _polygon(picture.muscle, laterality),
        "findings": placed,
    }


def _polygon(mask: NDArray[np.bool_], laterality: str) -> list[list[int]]:
    """The largest region of a mask as corners of whole pixels, x and y as stored; empty where there is none."""
    stored = mask[:, ::-1] if laterality == "R" else mask
    outlines, _ = cv2.findContours(stored.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return []
    largest = cv2.approxPolyDP(max(outlines, key=cv2.contourArea), 0.6, True)
    return [[int(x), int(y)] for x, y in largest[:, 0]]
