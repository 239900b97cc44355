"""The pictures behind the experiment: the synthetic study's clusters on every machine, volumes slice by slice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.experiments.mln_net.sizes import DBT, MACHINES, SOURCES, MlnSize
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.reading import volume_facts
from mammo_tf.study import SPLITS, findings_from_json, findings_to_json, resolve_path

CLUSTERS = ("pleomorphic_cluster", "amorphous_cluster")
PREVALENCE = {"malignant": 0.6, "high_risk": 0.3, "benign": 0.05}  # six women in ten then have a cluster
STEP_MM = 2.0  # between the frames of a volume that are taken


def synthetic_study(folder: Path, size: MlnSize, seed: int, workers: int) -> pd.DataFrame:
    """Women of training and validation on both sources, those of test on every machine; the manifest."""
    groups = [
        PatientGroup(split, count, MACHINES if split == "test" else SOURCES, split)
        for split, count in zip(SPLITS, size.patients, strict=True)
    ]
    return make_study(
        folder, groups, MACHINES, seed, size.spacing_mm, prevalence=PREVALENCE, conspicuity=CONSPICUOUS, workers=workers
    )


def machine_rows(manifest: pd.DataFrame, root: Path, machine: str, size: MlnSize) -> pd.DataFrame:
    """Rows of one machine or modality; volumes as the slices in which something is to be seen.

    Args:
        manifest: of the study.
        root: data root.
        machine: of the column `site`.
        size: how many slices of a volume.

    Raises:
        MammoError: `nothing_usable` where the manifest has no row of the machine.
    """
    rows = manifest[manifest["site"] == machine].reset_index(drop=True)
    if rows.empty:
        raise MammoError("nothing_usable", f"the manifest has no row of site {machine}", "Name it in column site")
    return slices(rows, root, size.slices) if machine == DBT else rows


def slices(rows: pd.DataFrame, root: Path, count: int) -> pd.DataFrame:
    """Each volume as rows that name a frame: around its first cluster, else its first finding, else its middle.

    Frames lie `STEP_MM` apart. A finding is told in every frame that is taken around its own; findings seen in other
    frames only are left out.

    Args:
        rows: of a manifest, one a volume.
        root: data root.
        count: frames of each volume.
    """
    found: list[dict[str, Any]] = []
    for row in ({str(name): value for name, value in one.items()} for one in rows.to_dict("records")):
        facts = volume_facts(resolve_path(row["path"], root))
        listed = findings_from_json(row["findings"])
        seen = [one for one in listed if one.frame is not None and one.kind in CLUSTERS] or [
            one for one in listed if one.frame is not None
        ]
        middle = seen[0].frame if seen else (facts.frames + 1) // 2
        assert middle is not None
        step = max(1, round(STEP_MM / (facts.slice_distance_mm or 1.0)))
        frames = [middle + step * (number - (count - 1) // 2) for number in range(count)]
        near = step * (count // 2)
        told = [replace(one, frame=None) for one in listed if one.frame is None or abs(one.frame - middle) <= near]
        text = findings_to_json(told)
        found += [{**row, "frame": str(frame), "findings": text} for frame in frames if 1 <= frame <= facts.frames]
    return pd.DataFrame(found, columns=[*rows.columns])
