"""What `predict` was given: files, folders or a manifest, as one list of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading import Facts, collections, images_of
from mammo_tf.reading.collections.folder import TABLE, manifest_row
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.reading.label_table import read_labels
from mammo_tf.reading.tree import not_text
from mammo_tf.study import Projection, Reject, read_manifest, resolve_path

PARTS = ("frame", "slab", "findings")  # what the rows of a volume's pictures differ in
DOCUMENTS = (".csv", ".htm", ".html", ".json", ".log", ".md", ".pdf", ".rst", ".txt", ".xml", ".yaml", ".yml")


@dataclass(frozen=True)
class Candidate:
    """A file that may be a picture.

    Attributes:
        file: where it lies.
        place: its path as tables write it: relative to the folder or data root, or as it was given.
        row: of the manifest; None for a file of which only its header tells.
        laterality, view: what a table says of it; None if nothing.
        part: of a volume that becomes several pictures, what its row says of this one (`frame`, `slab`, `findings`).
    """

    file: Path
    place: str
    row: dict[str, Any] | None = None
    laterality: str | None = None
    view: str | None = None
    part: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """What is said of the picture before its header is asked, as `reading.read_told` takes it."""
        return {**(self.row or {}), "laterality": self.laterality, "view": self.view, **self.part}


@dataclass
class Inputs:
    """All candidates, what is refused already, documents that were passed over, and the manifest if there was one."""

    candidates: list[Candidate] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    manifest: Path | None = None


def find_inputs(inputs: str | Path | Sequence[str | Path], root: str | Path | None = None) -> Inputs:
    """Candidates in the order in which they were given, those of a folder by path.

    A folder is read as the collection `folder` reads it, its `labels.csv` included, with every picture of a view;
    documents in it (`README.md`, tables, hidden files) are passed over, not refused. A file named one by one is never
    passed over.

    Args:
        inputs: files and folders, or one manifest (`.csv`).
        root: data root of a manifest's paths; by default its folder.

    Raises:
        MammoError: `inputs_missing`, `inputs_mixed` for a manifest next to others; those of `study.read_manifest`
            and `collections.collect`.
    """
    paths = [Path(path) for path in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    if not paths:
        raise MammoError("inputs_missing", "there is nothing to score", "Name files, a folder or a manifest")
    found = Inputs()
    manifests = [path for path in paths if path.suffix.lower() == ".csv" and not path.is_dir()]
    if manifests:
        if len(paths) > 1:
            raise MammoError(
                "inputs_mixed", f"the manifest {manifests[0]} stands next to other inputs", "Name it alone"
            )
        _add_manifest(found, manifests[0], root)
        return found
    for path in paths:
        if path.is_dir():
            _add_folder(found, path, alone=len(paths) == 1)
        else:
            _add(found, Candidate(path, path.as_posix()))
    return found


def _add(found: Inputs, candidate: Candidate) -> None:
    reject = not_text(candidate.place)
    if reject is None:
        found.candidates.append(candidate)
    else:
        found.rejects.append(reject)


def file_row(facts: Facts, place: str) -> dict[str, Any]:
    """The manifest row of a file that came alone: a picture without a header is a patient of its own."""
    row = manifest_row(facts, place, {})
    return row if facts.modality else row | {"patient_id": keyed_hash("patient", place)}


def pictures_of(candidates: Sequence[Candidate], projection: Projection, workers: int) -> list[Candidate]:
    """All pictures that candidates become: of a volume several where the projection makes several.

    A candidate whose header cannot be read stays as it is: what is wrong is told where its picture is read.
    """
    if projection == Projection():
        return list(candidates)
    work = partial(_parts_of, projection=projection)
    outcomes = each_file(work, list(candidates), workers, "reading headers")
    return [one for candidate, found in outcomes for one in ([candidate] if isinstance(found, MammoError) else found)]


def _parts_of(candidate: Candidate, projection: Projection) -> list[Candidate]:
    rows = images_of(candidate.file, candidate.told, projection)
    if len(rows) == 1:
        return [candidate]
    parts = [{name: value for name, value in row.items() if name in PARTS} for row in rows]
    return [replace(candidate, part=part) for part in parts]


def _add_manifest(found: Inputs, path: Path, root: str | Path | None) -> None:
    found.manifest = path
    for row in read_manifest(path).to_dict("records"):
        named = {str(key): value for key, value in row.items()}
        file = resolve_path(named["path"], path.parent if root is None else root)
        found.candidates.append(
            Candidate(file, named["path"], named, named["laterality"] or None, named["view"] or None)
        )


def _add_folder(found: Inputs, folder: Path, alone: bool) -> None:
    manifest, rejects = collections.collect("folder", folder, keep_all=True)
    told = read_labels(folder / TABLE) if (folder / TABLE).is_file() else {}

    def shown(place: str) -> str:
        return place if alone else (folder / place).as_posix()

    for row in manifest.to_dict("records"):
        named = {str(key): value for key, value in row.items()}
        place = named["path"]
        words = told.get(place, {})
        named["path"] = shown(place)
        candidate = Candidate(folder / place, shown(place), named, words.get("laterality"), words.get("view"))
        _add(found, candidate)
    for reject in rejects:
        name = Path(reject.path)
        is_document = name.suffix.lower() in DOCUMENTS or name.name.startswith(".")
        if reject.code == "table" or (reject.code == "not_dicom" and is_document):
            found.passed_over.append(shown(reject.path))
        else:
            found.rejects.append(Reject(shown(reject.path), *reject[1:]))
