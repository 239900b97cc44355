"""What a study says about the pictures of its records: where patches can be cut."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.patches import Lesion, Sheet
from mammo_tf.errors import MammoError
from mammo_tf.progress import track
from mammo_tf.records import Records
from mammo_tf.study import findings_from_json

POINTS = 200
BREAST_LEVEL = 0.05


def patch_sheets(
    records: Records, positions: NDArray[np.int64], class_of: Mapping[str, int], seed: int = 0
) -> list[Sheet]:
    """Where patches can be cut from each of these pictures; reads every picture once.

    Args:
        records: prepared images.
        positions: which ones.
        class_of: class number (1 and up) of a finding's label, or of `kind/label` where classes tell kinds apart;
            findings that it does not know are left out.
        seed: decides which points of the breast may be centres of background patches.

    Returns:
        One sheet for each picture; a finding without a place in the prepared picture has no lesion.

    Raises:
        MammoError: `no_findings` if no picture has a finding with a place.
    """
    sheets = []
    for position in track(positions.tolist(), "finding patches"):
        image = records.image(position)
        lesions = []
        findings = findings_from_json(str(image.row.get("findings") or ""))
        for finding, mask in zip(findings, image.finding_masks, strict=True):
            label = class_of.get(f"{finding.kind}/{finding.label}", class_of.get(finding.label))
            rows, columns = np.nonzero(mask)
            if label is not None and rows.size:
                lesions.append(Lesion((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), label))
        breast = image.picture > BREAST_LEVEL * 65535 if image.breast_mask is None else image.breast_mask
        rows, columns = np.nonzero(breast)
        points = np.column_stack([columns, rows]).astype(np.float64)
        generator = np.random.default_rng((seed, position))
        chosen = generator.permutation(len(points))[:POINTS]
        sheets.append(Sheet(position, tuple(lesions), points[chosen]))
    if not any(sheet.lesions for sheet in sheets):
        raise MammoError(
            "no_findings", "no picture has a finding with a place, so no patch can be cut",
            "Add the column findings, or start from a patch model",
        )  # fmt: skip
    return sheets
