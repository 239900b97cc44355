"""What a model says and sees of the pictures of a place, labelled or not: scores, grey values, contrast, features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.patient_facts import known_of
from mammo_tf.evaluation.vector_tests import patient_labels, patient_means
from mammo_tf.imaging.preprocessing import geometry_words
from mammo_tf.models import rebuild
from mammo_tf.reading.identity import key_fingerprint
from mammo_tf.recipes.scores import patient_hash, plan_of
from mammo_tf.recipes.start import SAY_MEAN, fitting, load_start
from mammo_tf.recipes.training_domain import features_of
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.picture_vectors import picture_vectors, some_patients
from mammo_tf.study import read_manifest
from mammo_tf.training import Classification, ModelFile
from mammo_tf.training.tasks.task import AnyTask, Scoring

BATCH = 16
DRAWS = 4  # patches of each picture, of a model of patches
PICTURE = ("image_id", "frame")
MACHINE = ("manufacturer", "model_name", "software", "site")
Say = Callable[[str], None]


class Sample(NamedTuple):
    """Vectors of pictures, where each lies in its records, whose it is, its label or `UNLABELLED`, and what is known of
    the patient, a column each of `KNOWN`, nan where it is not; all `[n, ...]`."""

    values: NDArray[np.float64]
    positions: NDArray[np.int64]
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    known: NDArray[np.float64]

    def of(self, chosen: ArrayLike) -> Sample:
        """Some of the pictures."""
        return Sample(*(part[np.asarray(chosen)] for part in self))

    @property
    def vectors(self) -> NDArray[np.float64]:
        """The mean of each patient, `[patients, ...]`."""
        return patient_means(self.values, self.patients)

    @property
    def patients_known(self) -> NDArray[np.float64]:
        """What is known of each patient, `[patients, KNOWN]`."""
        return patient_means(self.known, self.patients)

    @property
    def positive(self) -> NDArray[np.int64]:
        """1, 0 or `UNLABELLED` of each patient."""
        return patient_labels(self.labels, self.patients)


@dataclass(frozen=True)
class ModelSite:
    """The pictures of a place in front of a model.

    Attributes:
        origin: the model.
        records: pictures, prepared as the model has it.
        positions: of those that count.
        looked_at: of those of which pictures and features are looked at.
        drawn: of these, those that stand for the whole site; the others were drawn for their machine.
    """

    origin: ModelFile
    records: Records
    positions: NDArray[np.int64]
    looked_at: NDArray[np.int64]
    drawn: NDArray[np.int64]

    def scores(self) -> pd.DataFrame:
        """Predictions, of one split; labels are `UNLABELLED` where there is none."""
        task = task_of(self.origin)
        table = task.results(self._model, self._labelled, self.positions, self._scoring, None)
        rows = self._labelled.rows.iloc[self.positions]
        told = rows[list(PICTURE)].assign(label=task.truth(rows))
        for name in MACHINE:
            told[name] = rows[name].fillna("").astype(str) if name in rows else ""
        told = told if "frame" in table else told.drop(columns="frame")
        named = table.drop(columns=[name for name in ("label", *MACHINE) if name in table]).assign(split="test")
        return named.merge(told, on=[name for name in PICTURE if name in told], how="left", validate="many_to_one")

    def positions_of(self, scores: pd.DataFrame) -> NDArray[np.int64]:
        """Of the pictures of some rows of `scores`, sorted."""
        return self.positions[self.records.rows["image_id"].iloc[self.positions].isin(scores["image_id"]).to_numpy()]

    @property
    def views(self) -> pd.Series:
        """How many of the pictures that are looked at are of each view."""
        return self.records.rows["view"].iloc[self.drawn].replace("", np.nan).value_counts()

    def pictures(self) -> Sample | None:
        """Grey values and contrasts; None where preparation did not look for the breast."""
        found = picture_vectors(self.records, self.looked_at, self._scoring.preprocessing)
        return self._sample(found.values, found.positions) if len(found.positions) else None

    def features(self) -> Sample | None:
        """The features in front of the output; None where the network has no such."""
        task = task_of(self.origin)
        if not isinstance(task, Classification):
            return None
        found = features_of(self._model, self._labelled, self.looked_at, self._scoring, task)
        return None if found is None else self._sample(found[1], found[0])

    def _sample(self, values: NDArray[np.float64], positions: NDArray[np.int64]) -> Sample:
        rows = self._labelled.rows.iloc[positions]
        patients = rows["patient_id"].to_numpy().astype(str)
        return Sample(values, positions, patients, task_of(self.origin).truth(rows), known_of(rows))

    @property
    def _labelled(self) -> Records:
        """The records with an empty column for the truth, where they have none."""
        task = task_of(self.origin)
        if not isinstance(task, Classification) or task.column in self.records.rows:
            return self.records
        return replace(self.records, rows=self.records.rows.assign(**{task.column: ""}))

    @property
    def _scoring(self) -> Scoring:
        assert self.origin.preprocessing is not None  # else it was refused
        own = self.origin.preprocessing.intensity_steps
        steps, card = replace(self.records.preprocessing, intensity_steps=own), self.origin.card
        return Scoring(steps, BATCH, card.flips, sampling=plan_of(card, None, DRAWS).blind())

    @cached_property
    def _model(self) -> keras.Model:
        model, channels = self.origin.model, self._scoring.preprocessing.channels
        size = self._scoring.sampling.size(self.records.size)
        return model if fitting(model, size, channels) else rebuild(model, input_shape=(*size, channels))


def task_of(origin: ModelFile) -> AnyTask:
    """What a model is asked; of one that does not say, whether a picture is malignant."""
    return origin.card.task or Classification()


def opened_model(path: str | Path) -> ModelFile:
    """A model that says how pictures are prepared.

    Raises:
        MammoError: `not_a_model` for a bundle; `preprocessing_missing`; those of `load_start`.
    """
    path = Path(path)
    by_files = "Score pictures of both sites with predict, and give shift the two files"
    if path.is_dir() and not (path / "model.keras").is_file():
        raise MammoError("not_a_model", f"{path} is neither a run folder nor a .keras file", by_files)
    origin = load_start(path)
    if origin.card.preprocessing is None:
        raise MammoError("preprocessing_missing", f"{path} does not say how pictures are prepared", SAY_MEAN)
    return origin


def opened_site(
    origin: ModelFile, data: str | Path, root: str | Path | None, folder: Path, workers: int, say: Say
) -> Records:
    """Records of a place; those of a manifest are prepared as the model has it.

    Args:
        origin: the model.
        data: folder of records, or manifest.
        root: data root of a manifest; None for its folder.
        folder: for records of a manifest.
        workers: processes that prepare.
        say: is told of pictures that cannot be used.

    Raises:
        MammoError: `preprocessing_differs` for records that were prepared in another way than the model has it; those
            of `open_records`, `read_manifest`, `prepare`.
    """
    assert origin.preprocessing is not None  # else it was refused
    if not Path(data).is_dir():
        manifest = read_manifest(data)
        done = prepare(manifest, root or Path(data).parent, folder, origin.preprocessing, workers)
        if done.rejects:
            first = done.rejects[0].sentence
            say(f"{len(done.rejects)} of {len(manifest)} images of {data} cannot be used, such as {first}")
        return open_records(folder)
    records = open_records(data)
    own, here = origin.preprocessing, records.preprocessing
    for what, one, other in (
        ("prepared by", ", ".join(geometry_words(own)), ", ".join(geometry_words(here))),
        ("of the size", _by(own.size), _by(records.size)),
        ("of volumes projected by", own.projection, here.projection),
    ):
        if one != other:
            sentence = f"the model sees pictures {what} {one}; those of {records.folder} are {what} {other}"
            raise MammoError("preprocessing_differs", sentence, "Give the manifest: it is prepared as the model has it")
    return records


def _by(size: tuple[int, int] | None) -> str:
    return "not told" if size is None else f"{size[0]}x{size[1]}"


def site_of(
    origin: ModelFile,
    records: Records,
    images: int | None,
    seed: int,
    name: str,
    notes: list[str],
    by: Sequence[str] = (),
) -> ModelSite:
    """The pictures of a place that count: those of patients whom the model was not trained on.

    Where the model does not say whom it has seen, pictures of the split `train` do not count, unless all are.

    Args:
        origin: the model.
        records: of the place.
        images: of how many the picture is looked at, of whole patients; of each machine, too.
        seed: of their drawing.
        name: of the place, for notes.
        notes: is told what is left out.
        by: columns that tell machines apart.

    Raises:
        MammoError: `site_known` where nobody is left.
    """
    trained = _trained_on(origin, records)
    if trained is None:
        train = (records.rows["split"] == "train").to_numpy()
        trained = train if not train.all() else np.zeros(len(records), np.bool_)
        why = "of the split 'train'"
    else:
        why = "of patients whom the model was trained on"
    if trained.all():
        raise MammoError("site_known", f"the model was trained on all patients of {name}", "Give others")
    if trained.any():
        notes.append(f"{name}: {int(trained.sum())} pictures {why} are left out")
    positions = np.flatnonzero(~trained).astype(np.int64)
    drawn = some_patients(records, positions, images, seed)
    cells = records.rows.iloc[positions][[column for column in by if column in records.rows]]
    groups = cells.fillna("").groupby(list(cells), sort=False).indices.values() if len(cells.columns) else []
    apart = [some_patients(records, positions[np.sort(places)], images, seed) for places in groups]
    return ModelSite(origin, records, positions, np.unique(np.concatenate([drawn, *apart])), drawn)


def _trained_on(origin: ModelFile, records: Records) -> NDArray[np.bool_] | None:
    """Whether the patient of each picture was trained on; None where the model does not say, or under another key."""
    known = origin.card.patients
    try:
        key = key_fingerprint()
        if not known or any(one.key != key for one in known):
            return None
        seen = {name for one in known for name in one.train}
        hashes = {name: patient_hash(name) for name in records.rows["patient_id"].unique()}
    except MammoError:
        return None
    return np.array([hashes[name] in seen for name in records.rows["patient_id"]], np.bool_)
