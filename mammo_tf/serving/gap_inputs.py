"""The pictures of validation that a model's signatures are compared on."""

from __future__ import annotations

from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json
from mammo_tf.records import open_records
from mammo_tf.records.index import INDEX
from mammo_tf.serving.predict_inputs import Candidate, find_inputs
from mammo_tf.study import resolve_path

VALIDATION = "validation"
PREPARED = "prepared"  # of a run folder


def validation_pictures(data: str | Path, root: str | Path | None = None) -> list[Candidate]:
    """The pictures of split validation.

    Args:
        data: a manifest, or a folder of records.
        root: data root; by default the manifest's folder, or what the records say.

    Raises:
        MammoError: `split_empty`; `root_unknown` for records that do not say where their pictures came from; those of
            `find_inputs` and `open_records`.
    """
    data = Path(data)
    if data.is_dir():
        rows = open_records(data).rows
        root = root or read_json(data / INDEX)["asked"].get("root")
        if root is None:
            sentence = f"{data} does not say where its pictures came from"
            raise MammoError("root_unknown", sentence, "Name their root with --root")
        named = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
        found = [
            Candidate(resolve_path(row["path"], root), row["path"], row, row["laterality"] or None, row["view"] or None)
            for row in named
        ]
    else:
        found = find_inputs([data], root).candidates
    chosen = [one for one in found if one.row is not None and one.row["split"] == VALIDATION]
    if not chosen:
        raise MammoError("split_empty", f"no image of {data} is in split validation", "Run mammo-tf split")
    return chosen


def pictures_of_run(run: str | Path) -> list[Candidate]:
    """The pictures of validation that a run folder prepared, where they still are; else none."""
    prepared = Path(run) / PREPARED
    if not (prepared / INDEX).is_file():
        return []
    try:
        return [one for one in validation_pictures(prepared) if one.file.exists()]
    except MammoError:  # nothing was asked for by name
        return []
