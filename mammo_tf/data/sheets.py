"""What a study says about the pictures of its records: where patches can be cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.patches import Lesion, Sheet
from mammo_tf.errors import MammoError
from mammo_tf.imaging.tiles import breast_pixels
from mammo_tf.progress import track
from mammo_tf.records import PreparedImage, Records
from mammo_tf.study import Finding, findings_from_json

POINTS = 200


def patch_sheets(
    records: Records, positions: NDArray[np.int64], class_of: Mapping[str, int], seed: int = 0
) -> list[Sheet]:
    """Where patches can be cut from each of these pictures; reads every picture once.

    Args:
        records: prepared images.
        positions: which ones.
        class_of: class number (1 and up) of a finding's label, or of `kind/label` where classes tell kinds apart;
            findings that it does not know give no lesion, and are not background either.
        seed: decides which points of the breast may be centres of background patches.

    Returns:
        One sheet for each picture; a finding without a place in the prepared picture has no lesion, and a picture in
        which something may lie anywhere has no points of background: one with such a finding, and one that is not
        normal and of which no finding is listed.

    Raises:
        MammoError: `no_findings` if no picture has a finding with a place.
    """
    sheets = []
    for position in track(positions.tolist(), "finding patches"):
        image = records.image(position)
        findings = findings_from_json(str(image.row.get("findings") or ""))
        lesions, others = _boxes(findings, image.finding_masks, class_of)
        all_placed = len(lesions) + len(others) == len(findings)
        if all_placed and (findings or image.row["label"] == "normal"):
            points = _breast_points(image, np.random.default_rng((seed, position)))
        else:
            points = np.zeros((0, 2))
        sheets.append(Sheet(position, tuple(lesions), points, tuple(others)))
    if not any(sheet.lesions for sheet in sheets):
        raise MammoError(
            "no_findings", "no picture has a finding with a place, so no patch can be cut",
            "Add the column findings, or start from a patch model",
        )  # fmt: skip
    return sheets


def _boxes(
    findings: Sequence[Finding], masks: NDArray[np.bool_], class_of: Mapping[str, int]
) -> tuple[list[Lesion], list[tuple[float, float, float, float]]]:
    """Boxes of the findings that have a place in the prepared picture: those of a class, and the others."""
    lesions, others = [], []
    for finding, mask in zip(findings, masks, strict=True):
        rows, columns = np.nonzero(mask)
        if not rows.size:
            continue
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        label = class_of.get(f"{finding.kind}/{finding.label}", class_of.get(finding.label))
        if label is None:
            others.append(box)
        else:
            lesions.append(Lesion(box, label))
    return lesions, others


def _breast_points(image: PreparedImage, generator: np.random.Generator) -> NDArray[np.float64]:
    """Up to `POINTS` random pixels of the breast, x and y `[n, 2]`."""
    breast = breast_pixels(image.picture) if image.breast_mask is None else image.breast_mask
    rows, columns = np.nonzero(breast)
    points = np.column_stack([columns, rows]).astype(np.float64)
    return points[generator.permutation(len(points))[:POINTS]]
