"""Sheets of all films at hand with the outlines that are drawn on them: skin green, pectoral muscle red.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/real_sheets.py -o SHEETS

One PNG for each folder of films. For the eye only: the pictures must not enter the repository. MLO views and films
without a stated view are asked for a pectoral muscle, CC views are not.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.imaging.breast import box, chest_wall_side, segment
from mammo_tf.imaging.pectoral import pectoral
from mammo_tf.progress import track
from mammo_tf.reading import read

FOLDERS = {"ddsm_tissue": "ddsm_tissue/images/*.png", "mini_mias": "mini_mias/*.png", "dicom": "dicom/*.dcm"}
HEIGHT, WIDTH, ACROSS = 420, 300, 6
GREEN, RED, YELLOW = (0, 255, 0), (0, 0, 255), (0, 255, 255)


def drawn(pixels: np.ndarray, view: str, name: str) -> np.ndarray:
    """uint8 `[HEIGHT, WIDTH, 3]`: the breast's box with outlines, dark greys lifted so that the skin shows."""
    mask = segment(pixels)
    muscle = pectoral(pixels, mask) if view in ("", "MLO") else None
    top, bottom, left, right = box(mask, 0.08)
    factor = min(HEIGHT / (bottom - top), WIDTH / (right - left))
    size = (max(1, int((right - left) * factor)), max(1, int((bottom - top) * factor)))
    grey = cv2.resize(pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    cell = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    cell[: size[1], : size[0]] = (255 * np.sqrt(np.clip(grey, 0, 1)))[..., None].astype(np.uint8)
    for outline, colour in ((mask, GREEN), (muscle, RED)):
        if outline is not None:
            small = cv2.resize(outline[top:bottom, left:right].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(cell, contours, -1, colour, 1)
    text = f"{name} wall {chest_wall_side(mask)}"
    cv2.putText(cell, text, (4, HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, YELLOW, 1, cv2.LINE_AA)
    return cell


def sheet(paths: list[Path], what: str) -> tuple[np.ndarray | None, list[str]]:
    """The sheet of a folder, and a line for each file that could not be read."""
    cells, refused = [], []
    for path in track(paths, what):
        try:
            picture = read(path)
        except MammoError as error:
            refused.append(f"{path.name}: {error.code}")
            continue
        cells.append(drawn(picture.pixels, picture.facts.view or "", path.stem[:16]))
    if not cells:
        return None, refused
    cells += [np.zeros_like(cells[0])] * (-len(cells) % ACROSS)
    return np.vstack([np.hstack(cells[row : row + ACROSS]) for row in range(0, len(cells), ACROSS)]), refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the sheets")
    output = parser.parse_args().output
    if "MAMMO_TF_REAL_DATA" not in os.environ:
        print("MAMMO_TF_REAL_DATA names no folder", file=sys.stderr)
        return 2
    root = Path(os.environ["MAMMO_TF_REAL_DATA"])
    output.mkdir(parents=True, exist_ok=True)
    for name, pattern in FOLDERS.items():
        picture, refused = sheet(sorted(root.glob(pattern)), name)
        for line in refused:
            print(f"not drawn: {line}")
        if picture is not None:
            cv2.imwrite(str(output / f"{name}.png"), picture)
            print(output / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
