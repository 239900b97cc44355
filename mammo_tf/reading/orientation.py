"""Does the picture lie as the header says? Only plain contradictions are called one."""

from __future__ import annotations

import numpy as np

BAND = 0.05
EMPTY_BELOW, FULL_ABOVE = 0.02, 0.4
TISSUE_ABOVE = 0.02


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
    width = max(1, round(BAND * pixels.shape[1]))
    background = float(np.median(np.concatenate([pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]])))
    ground = min(background, TISSUE_ABOVE)
    left, right = (float((band > ground + TISSUE_ABOVE).mean()) for band in (pixels[:, :width], pixels[:, -width:]))
    told, opposite = (left, right) if direction == "A" else (right, left)
    return told < EMPTY_BELOW and opposite > FULL_ABOVE
