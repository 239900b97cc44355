"""Pictures that show what a harmonising does: one of the target before and behind it, and one of the source."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.adaptation.site_pictures import WHITE, training_part
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.steps import run_intensity
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import machines_of


def example_pictures(
    harmonising: Harmonising, source: Records | None, target: Records
) -> dict[str, NDArray[np.float32]]:
    """Two or three pictures, float32 `[rows, columns]` in [0, 1], 0 outside the breast, by what they are.

    That of the target is the training picture of middling brightness; that of the source the one of middling brightness
    among those of the same side and view, where there are any.

    Args:
        harmonising: of the two.
        source: None where its pictures are not here.
        target: that it was fitted on.
    """
    of_target = training_part(target)
    machines = machines_of(of_target)
    meant = [number for number, machine in enumerate(machines) if machine in harmonising.target.machines]
    of_target = of_target.part(meant)
    position = _middling(of_target, np.arange(len(of_target)))
    row = of_target.rows.iloc[position]
    before, breast = _picture(of_target, position), of_target.breast(position)
    behind = before
    for step in harmonising.steps:
        behind = run_intensity(step, behind, breast)
    found = {"Target, as prepared": before, "Target, harmonised": behind}
    return found if source is None else {**found, "Source": _of_source(training_part(source), row)}


def _of_source(records: Records, row: pd.Series) -> NDArray[np.float32]:
    """Of the same side and view as the target's picture, where there are any."""
    alike = np.flatnonzero((records.rows["laterality"] == row["laterality"]) & (records.rows["view"] == row["view"]))
    return _picture(records, _middling(records, alike if len(alike) else np.arange(len(records))))


def _picture(records: Records, position: int) -> NDArray[np.float32]:
    return np.where(records.breast(position), records.picture(position) / WHITE, np.float32(0))


def _middling(records: Records, positions: NDArray[np.intp]) -> int:
    order = positions[np.argsort(records.means[positions], kind="stable")]
    return int(order[len(order) // 2])
