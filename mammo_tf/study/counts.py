"""What a manifest holds, in counts."""

from __future__ import annotations

import pandas as pd

from mammo_tf.study.cells import LABELS, SPLITS


def count_table(manifest: pd.DataFrame) -> list[str]:
    """Lines of a table: images and patients of each split by label, then counts of what tells domains apart."""
    lines = [f"{len(manifest)} images, {manifest['patient_id'].nunique()} patients", ""]
    parts = [split for split in (*SPLITS, "") if (manifest["split"] == split).any()]
    labels = "".join(f"{label:>11s}" for label in (*LABELS, "unknown"))
    lines.append(f"{'split':12s}{'patients':>9s}{'images':>8s}{labels}")
    for split in parts:
        part = manifest[manifest["split"] == split]
        counts = "".join(f"{int((part['label'] == label).sum()):11d}" for label in (*LABELS, ""))
        lines.append(f"{split or '(none)':12s}{part['patient_id'].nunique():9d}{len(part):8d}{counts}")
    for column in ("modality", "view", "laterality", "manufacturer", "site", "density"):
        known = manifest[manifest[column] != ""][column].value_counts()
        if len(known):
            unknown = len(manifest) - int(known.sum())
            shown = ", ".join(f"{value} {count}" for value, count in known.items())
            lines.append(f"{column}: {shown}" + (f", unknown {unknown}" if unknown else ""))
    return [*lines, *_months(manifest)]


def _months(manifest: pd.DataFrame) -> list[str]:
    """How long before its diagnosis a malignant image was taken, where a manifest tells."""
    if "months_to_diagnosis" not in manifest:
        return []
    months = manifest.loc[manifest["label"] == "malignant", "months_to_diagnosis"]
    known = months.dropna()
    if known.empty:
        return [f"months_to_diagnosis: unknown for all {len(months)} malignant images"]
    told = f"{known.min():g} to {known.max():g}, median {known.median():g}"
    return [f"months_to_diagnosis: {told}, known for {len(known)} of {len(months)} malignant images"]
