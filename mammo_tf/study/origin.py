"""Where a manifest comes from: `manifest.json` next to it, so that what its labels mean is known later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.files import read_json, write_json


@dataclass(frozen=True)
class Origin:
    """Where the rows of a manifest come from.

    Attributes:
        collection, root: that were listed.
        labels, labels_sha256: the table of labels, and its digest; "" without one.
        columns: what our columns are called in that table.
        values: by our column, what its words were taken for.
        reference_standard: what the labels rest on, in the user's words: BI-RADS, pathology, follow-up.
    """

    collection: str
    root: str
    labels: str = ""
    labels_sha256: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    reference_standard: str = ""

    def lines(self) -> list[str]:
        """What is to be known of the labels, a line each."""
        lines = [f"labels: {self.labels}"] if self.labels else []
        for column in dict.fromkeys([*self.columns, *self.values]):
            words = ", ".join(
                f"{theirs} is {ours or 'unknown'}" for theirs, ours in self.values.get(column, {}).items()
            )
            source = self.columns.get(column, "")
            lines.append(f"{column}: " + "; ".join(filter(None, [f"column {source!r}" if source else "", words])))
        return lines + ([f"reference standard: {self.reference_standard}"] if self.reference_standard else [])


def write_origin(origin: Origin, manifest: str | Path) -> None:
    """Writes the origin next to a manifest."""
    write_json(Path(manifest).with_suffix(".json"), to_json(origin))


def read_origin(manifest: str | Path) -> Origin | None:
    """The origin of a manifest; None where the file next to it is not there or is something else."""
    try:
        stored = read_json(Path(manifest).with_suffix(".json"))
        return from_json(Origin, stored) if isinstance(stored, Mapping) else None
    except MammoError:
        return None


def check_origin_output(manifest: str | Path) -> None:
    """Refuses a place where the file next to the manifest is something else: `output_taken`."""
    path = Path(manifest).with_suffix(".json")
    if path.exists() and read_origin(manifest) is None:
        sentence = f"{path} is something else, and would be overwritten"
        raise MammoError("output_taken", sentence, "Name another folder after -o")
