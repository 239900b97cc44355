"""Draws the sheet of phantom pictures for the docs: what each machine makes of the same breasts.

    python benchmarks/phantom_sheet.py [-o docs/pictures/phantom_sheet.png]

Rows: an exam with a malignant mass, one with a benign mass, a normal one; columns: four views of site 1 (findings
outlined in the left breast), the left breast by site 2, on film and by tomosynthesis (the slice of the finding, and the
maximum of all), and at last the left breast's finding (or, in the normal exam, its matched ink) enlarged.
Findings are conspicuous ones, as in the demo.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from mammo_tf.files import atomic_path
from mammo_tf.phantom import CONSPICUOUS, load_machine
from mammo_tf.phantom.exam import Patient, StudyPlan, project_breasts, render
from mammo_tf.phantom.projection import to_picture

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 - the backend is chosen first

SEED, SPACING_MM = 4, 0.3
# Patient numbers whose left breast shows well what the row is about.
EXAMS = ((13, "malignant", "B"), (1, "benign", "B"), (9, "normal", "C"))
COLUMNS = (
    ("ffdm_site_1", "R", "CC"), ("ffdm_site_1", "L", "CC"), ("ffdm_site_1", "R", "MLO"), ("ffdm_site_1", "L", "MLO"),
    ("ffdm_site_2", "L", "CC"), ("ffdm_site_2", "L", "MLO"), ("film", "L", "CC"), ("film", "L", "MLO"),
    ("dbt", "L", "CC"), ("dbt", "L", "CC"),
)  # fmt: skip
WIDTH_MM, ENLARGED_MM = 138.0, 46.0
CELL_ROWS, CELL_COLUMNS = 260, 166


def flat(picture, projected: bool):
    """A volume's slice of its first finding (without one, the middle), or the maximum of its slices."""
    if not picture.slice_mm:
        return picture
    height = picture.findings_mm[0] if picture.findings_mm else len(picture.pixels) * picture.slice_mm / 2
    pixels = picture.pixels.max(axis=0) if projected else picture.pixels[picture.frame_at(height) - 1]
    return replace(picture, pixels=pixels)


def shown(picture, machine) -> np.ndarray:
    """The stored picture as a viewer shows it, uint8, bright is dense."""
    stored = picture.pixels.astype(np.float64)
    window = picture.window
    if window.kind == "window":
        result = (stored - window.centre) / window.width + 0.5
    elif window.kind == "sigmoid":
        result = 1 / (1 + np.exp(-4 * (stored - window.centre) / window.width))
    else:
        result = stored / ((1 << machine.presentation.bits) - 1)
    if machine.presentation.photometric == "MONOCHROME1":
        result = 1 - result
    return np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)


def cell(picture, projection, machine, laterality: str, outlined: bool) -> np.ndarray:
    """A small RGB picture, but for film the air beyond the nipple cut off, findings outlined if asked for."""
    colour = cv2.cvtColor(shown(picture, machine), cv2.COLOR_GRAY2RGB)
    for truth in projection.findings if outlined else ():
        corners = (truth.contour_mm - picture.offset_mm[::-1]) / picture.spacing_mm
        tint = (255, 90, 60) if truth.finding.label == "malignant" else (90, 200, 255)
        cv2.polylines(colour, [np.round(corners * 16).astype(np.int32)], True, tint, 2, cv2.LINE_AA, 4)
    if machine.film is None:
        colour = colour[:, : round(WIDTH_MM / picture.spacing_mm)]
    if laterality == "R":
        colour = colour[:, ::-1]
    columns = round(CELL_ROWS * colour.shape[1] / colour.shape[0])
    return cv2.resize(np.ascontiguousarray(colour), (columns, CELL_ROWS), interpolation=cv2.INTER_AREA)


def enlarged(picture, projection, ink, machine, view: str) -> np.ndarray:
    """The finding, or the lump of the matched ink, in a square of `ENLARGED_MM`."""
    place = projection.findings[0].centre_mm if projection.findings else to_picture(ink.lumps[0].position_mm, view)
    corner = (np.array(place) - picture.offset_mm[::-1] - ENLARGED_MM / 2) / picture.spacing_mm
    grey, size = shown(picture, machine), round(ENLARGED_MM / picture.spacing_mm)
    x, y = (int(np.clip(at, 0, length - size)) for at, length in zip(corner, grey.shape[::-1], strict=True))
    return cv2.resize(grey[y : y + size, x : x + size], (CELL_COLUMNS, CELL_COLUMNS), interpolation=cv2.INTER_AREA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/pictures/phantom_sheet.png"))
    output = parser.parse_args().output
    names = list(dict.fromkeys(name for name, _, _ in COLUMNS))
    machines = tuple(load_machine(name) for name in names)
    plan = StudyPlan(SEED, machines, SPACING_MM, CONSPICUOUS)
    figure, axes = pyplot.subplots(
        len(EXAMS), len(COLUMNS) + 1, figsize=((len(COLUMNS) + 1) * 1.21, len(EXAMS) * 1.96), facecolor="black"
    )
    for row, (number, label, density) in enumerate(EXAMS):
        patient = Patient("p", number, (label, "normal"), 55, density, "", "", "", tuple(range(len(names))))
        projections = project_breasts(plan, patient)
        for column, (axis, (name, laterality, view)) in enumerate(zip(axes[row], COLUMNS, strict=False)):
            site = names.index(name)
            seen = projections[laterality, view]
            projection, ink = seen.projection, seen.ink
            projected = column == len(COLUMNS) - 1
            picture = flat(render(plan, patient, seen, site, laterality, view), projected)
            axis.imshow(cell(picture, projection, machines[site], laterality, outlined=site == 0))
            if row == 0:
                what = f"{laterality} {view}" + (", maximum" if projected else ", slice" if name == "dbt" else "")
                axis.set_title(f"{name.replace('_', ' ')}\n{what}", color="white", fontsize=7, pad=3)
            if (name, laterality, view) == COLUMNS[1]:
                axes[row][-1].imshow(enlarged(picture, projection, ink, machines[0], view), cmap="gray")
        title = f"{label}, class {density}\nL CC, {ENLARGED_MM:.0f} mm"
        axes[row][-1].set_title(title, color="white", fontsize=7, pad=3)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 0.95, 0.01, 0.01)
    with atomic_path(output) as beside:
        figure.savefig(beside, dpi=118, facecolor="black", metadata={"Software": None})
    print(f"{output}: {output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
