"""Files, a folder or a manifest to scores: what `mammo-tf predict` does.

Pictures are read and prepared by a few processes while the network runs (`guard`: a file that hangs or crashes
a decoder is a reject), so memory stays the same however many there are: a batch of prepared pictures and a few for each
process, thumbnails of those that a sheet shows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import prevalence_corrected, write_predictions
from mammo_tf.evaluation.levels import has_several_rows
from mammo_tf.evaluation.predictions import ADDED, COLUMNS, Probability, with_decision
from mammo_tf.files import disk_errors
from mammo_tf.guard import each_file, start_workers
from mammo_tf.imaging.intensity_steps import Scale, SubtractMean
from mammo_tf.reading import doubts
from mammo_tf.reading.collections.folder import TABLE
from mammo_tf.reporting.manifest_sheet import SHOWN, picture_name, picture_title
from mammo_tf.reporting.sheet import SheetPicture, check_sheet_path, thumbnail, write_sheet
from mammo_tf.serving.answers import FAR
from mammo_tf.serving.bundle import Scored
from mammo_tf.serving.dicom_out import DicomOut
from mammo_tf.serving.predict_domain import foreign
from mammo_tf.serving.predict_inputs import Inputs, find_inputs, pictures_of
from mammo_tf.serving.predict_picture import PredictPicture, prepare_encoded, prepare_picture
from mammo_tf.serving.predict_tiles import score_pictures
from mammo_tf.serving.score_source import write_source
from mammo_tf.serving.scorer import Scorer, open_scorer
from mammo_tf.serving.signatures import task_of
from mammo_tf.study import COLUMNS as MANIFEST_COLUMNS
from mammo_tf.study import UNLABELLED, Reject, make_manifest, write_rejects
from mammo_tf.study.table_output import check_table_output, rejects_of
from mammo_tf.training import Classification, ModelCard, Segmentation, Task
from mammo_tf.training.tasks.pieces import BRANCH, DISTANCE
from mammo_tf.training.tasks.stored_masks import MASKS, mask_path, write_mask

if TYPE_CHECKING:
    from mammo_tf.serving.dicom_exams import DicomReport

DOMAIN_DISTANCE, ABSTAIN = FAR
GREY_FACTOR = 3.0  # brighter or darker than the training pictures by more than this: said in a warning
SAME_SCORE = 1e-4
HEAT_REMARK = (
    "Orange: where the evidence for the positive class reaches half and four fifths of its maximum in that picture."
)


@dataclass(frozen=True)
class PredictReport:
    """What `predict` left.

    Attributes:
        images: number of scored images, rows of `output`.
        rejects: number of files that cannot be used, rows of `rejects_path`.
        output, rejects_path: the two tables.
        sheets: pages of the picture sheet.
        predictions: the table.
        passed_over: documents of a folder, such as a README: neither images nor refused ones.
        warnings: what was doubtful, one line each.
        seconds, network_seconds: from opening the model to the last file; in calls of the network.
        dicom: what was written as DICOM objects, if that was asked for.
    """

    images: int
    rejects: int
    output: Path
    rejects_path: Path
    sheets: tuple[Path, ...]
    predictions: pd.DataFrame = field(repr=False)
    passed_over: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    network_seconds: float = 0.0
    dicom: DicomReport | None = None


def predict(
    source_model: str | Path | Scorer,
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    sheet: str | Path | None = None,
    *,
    batch_size: int = 2,
    by_exam: bool = False,
    flips: bool | None = None,
    positives: Sequence[str] | None = None,
    root: str | Path | None = None,
    workers: int | None = None,
    winograd: bool = True,
    prevalence: float | None = None,
    dicom_out: DicomOut | None = None,
) -> PredictReport:
    """Scores every picture that can be used, says of every other one why not.

    Preparation is the model's own, all of it (breast segmentation included). `output` has the columns of the contract
    "Predictions" (`label` 0, 1 or empty; `decision` 0 or 1, where the model has a threshold for images; `probability`
    where it was calibrated), `path`, `grey_mean` (mean of the prepared picture in [0, 1]), and further columns of the
    manifest. A network for segmentation also leaves `<output>_masks/<image_id>.png`, in the geometry of the stored
    picture. `<output>_rejects.csv` lies next to it.

    Args:
        source_model: a bundle, a `.keras` file, a run folder, or what gives scores for one of these.
        inputs: files and folders, or one manifest (`.csv`).
        output: a file `*.csv`; a JSON file next to it tells the network that made it (`score_source`).
        sheet: PNG file of a picture sheet, 24 pictures a page, 96 at most.
        batch_size: pictures that the network sees at once; End2End VGG16 at 1152x896 takes 1.8 GB for one, 2.6 GB for
            two, 4.2 GB for four.
        by_exam: begin another batch with each exam.
        flips: mean over four flips; by default as the model says of itself.
        positives: labels of a manifest that count as 1; by default as the model says, else malignant and high_risk.
        root: data root of a manifest's paths; by default its folder.
        workers: processes that read and prepare; by default one a core, at most 4.
        winograd: as for `open_scorer`.
        prevalence: share of positive images where the pictures come from; `probability` is corrected for it.
        dicom_out: takes the results as DICOM objects.

    Raises:
        MammoError: `nothing_usable` if no picture can be scored (rejects are written nevertheless); `not_a_png`,
            `read_only`, `disk_full`; those of `check_table_output`, `find_inputs`, `open_scorer` and
            `DicomOut.write`.
    """
    output = Path(output)
    _check_output(output, [Path(path) for path in ([inputs] if isinstance(inputs, str | Path) else inputs)])
    if sheet is not None:
        check_sheet_path(Path(sheet))
    workers = workers or min(4, os.cpu_count() or 1)
    start_workers(workers)
    masks = output.with_name(f"{output.stem}_{MASKS}")
    found = find_inputs(inputs, root)
    found.candidates = [one for one in found.candidates if masks.resolve() not in one.file.resolve().parents]
    scorer = source_model if isinstance(source_model, Scorer) else open_scorer(source_model, flips, winograd)
    probability = _probability(scorer, prevalence)
    began = time.perf_counter()
    run = _Run(scorer, keep=0 if sheet is None else SHOWN, masks=masks)
    if dicom_out is not None:
        run.also = partial(dicom_out.take, scorer, probability)
    for batch in _batches(_prepared(found, scorer, workers), batch_size, by_exam):
        run.take(batch)
    rejects = [*found.rejects, *run.rejects]
    rejects_path = rejects_of(output)
    write_rejects(rejects, rejects_path)
    if not run.rows:
        first = f"; the first: {rejects[0].sentence}" if rejects else ""
        sentence = f"none of {len(rejects) + len(found.passed_over)} files can be scored{first}"
        raise MammoError("nothing_usable", sentence, f"See {rejects_path}")
    task = task_of(scorer.card) if positives is None else Classification(positives=tuple(positives))
    table = _table(run, task, scorer.card, probability)
    if found.manifest is None:  # what headers tell beyond the contract is not the user's column
        ours = (*COLUMNS, *ADDED, "path", "grey_mean", "frame", *_said_beside(run.rows[0]))
        table = table[[name for name in table if name in ours]]
    warnings = _warnings(table, scorer, run)
    sheets = () if sheet is None else _write_sheet(Path(sheet), run, rejects, scorer, warnings)
    write_predictions(table, output)
    write_source(output, scorer.card)
    dicom = None if dicom_out is None else dicom_out.write(scorer)
    return PredictReport(
        images=len(table),
        rejects=len(rejects),
        output=output,
        rejects_path=rejects_path,
        sheets=sheets,
        predictions=table,
        passed_over=tuple(found.passed_over),
        warnings=tuple(warnings),
        seconds=time.perf_counter() - began,
        network_seconds=run.network_seconds,
        dicom=dicom,
    )


class _Run:
    """What has been scored so far."""

    def __init__(self, scorer: Scorer, keep: int, masks: Path) -> None:
        self.scorer = scorer
        self.keep = keep
        self.masks = masks
        self.task = task_of(scorer.card)
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[Reject] = []
        self.pictures: list[SheetPicture] = []
        self.network_seconds = 0.0
        self.told: list[tuple[str, ...]] = []
        self.also: Callable[[PredictPicture, Scored, int], None] = lambda *_: None
        self._seen: dict[tuple[str, str], str] = {}

    def take(self, batch: Sequence[PredictPicture | Reject]) -> None:
        """Scores what can be scored of a batch; an identifier that was there before is refused."""
        usable = []
        for item in batch:
            if isinstance(item, Reject):
                self.rejects.append(item)
            elif _name(item) in self._seen:
                reason = f"the same identifier as {self._seen[_name(item)]}"
                self.rejects.append(Reject(item.row["path"], "duplicate", reason))
            else:
                self._seen[_name(item)] = item.row["path"]
                usable.append(item)
                self.told.append(item.warnings)
        if not usable:
            return
        began = time.perf_counter()
        scored = score_pictures(self.scorer, usable, self.task)
        self.network_seconds += time.perf_counter() - began
        for number, item in enumerate(usable):
            name = _name(item)
            score = float(scored.score[number])
            self.also(item, scored, number)
            if scored.mask is not None and isinstance(self.task, Segmentation):
                called = scored.mask[number] >= self.task.threshold
                write_mask(mask_path(self.masks, *name), called, item.affine, item.stored_size)
            self.rows.append(item.row | {"score": score, "grey_mean": item.grey_mean} | scored.columns(number))
            if len(self.pictures) < self.keep:
                maps = scored.heatmap if scored.mask is None else scored.mask
                heatmap = None if maps is None else maps[number]
                note = "unusual grey levels" if _unusual(item.grey_mean, self.scorer) else ""
                shown = thumbnail(item.picture)
                self.pictures.append(
                    SheetPicture(shown, picture_title(item.row), picture_name(item.row), score, heatmap, note)
                )


def _name(item: PredictPicture) -> tuple[str, str]:
    """What tells an image from others: its identifier, and of a volume the frame."""
    return item.row["image_id"], str(item.row.get("frame") or "")


def _prepared(found: Inputs, scorer: Scorer, workers: int) -> Iterator[PredictPicture | Reject]:
    """Prepared pictures in order; the next ones are prepared while those are worked on."""
    prepare = prepare_picture if scorer.score_encoded is None else prepare_encoded
    work = partial(prepare, preprocessing=scorer.preprocessing)
    pictures = pictures_of(found.candidates, scorer.preprocessing.projection, workers)
    for candidate, item in each_file(work, pictures, workers, "scoring"):
        yield Reject.of(candidate.place, item, candidate.file) if isinstance(item, MammoError) else item


def _batches(
    items: Iterable[PredictPicture | Reject], batch_size: int, by_exam: bool
) -> Iterator[list[PredictPicture | Reject]]:
    """`batch_size` at a time, of one exam each where that is asked."""
    batch: list[PredictPicture | Reject] = []
    exam = None
    for item in items:
        other = exam if isinstance(item, Reject) else (item.row.get("patient_id"), item.row.get("exam_id"))
        if len(batch) == batch_size or (by_exam and batch and other != exam):
            yield batch
            batch = []
        exam = other
        batch.append(item)
    if batch:
        yield batch


def _check_output(output: Path, inputs: Sequence[Path]) -> None:
    check_table_output(output, [*inputs, *(folder / TABLE for folder in inputs if folder.is_dir())])
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(output.parent, os.W_OK):
        raise MammoError("read_only", f"the folder {output.parent} cannot be written to", "Choose another folder")


def _said_beside(row: Mapping[str, Any]) -> list[str]:
    """Columns of what a model says of a picture beside its score."""
    return [name for name in row if name in (*FAR, BRANCH) or name.startswith(DISTANCE)]


def _table(run: _Run, task: Task, card: ModelCard, probability: Probability | None) -> pd.DataFrame:
    table = make_manifest(run.rows)
    try:
        labels = task.truth(table)
    except MammoError as error:
        if error.code != "column_missing":
            raise
        labels = np.full(len(table), UNLABELLED)  # new pictures need not tell what the model is to say
    numbers = pd.array(labels, dtype="Int64")
    numbers[labels == UNLABELLED] = pd.NA
    table = table.assign(label=numbers, score=[row["score"] for row in run.rows])
    table = with_decision(table, card.threshold("image"), probability)
    table["grey_mean"] = [row["grey_mean"] for row in run.rows]
    table = table.assign(**{name: [row[name] for row in run.rows] for name in _said_beside(run.rows[0])})
    if ABSTAIN in table:
        table[ABSTAIN] = table[ABSTAIN].astype(np.int64)
    further = [name for name in table if name not in (*MANIFEST_COLUMNS, *COLUMNS, *ADDED, "grey_mean")]
    if has_several_rows(table):
        further.append("frame")
    return table[[*COLUMNS, *(name for name in ADDED if name in table), "path", "grey_mean", *further]]


def _probability(scorer: Scorer, prevalence: float | None) -> Probability | None:
    """Scores to probabilities by the calibration stored with the model, for a site's prevalence if one is given.

    Raises:
        MammoError: `calibration_missing` where a prevalence is given and the model has no calibration;
            `prevalence_wrong`.
    """
    stored = scorer.card.calibration
    if stored is None:
        if prevalence is not None:
            raise MammoError(
                "calibration_missing",
                f"{scorer.path} has no calibration, so there is no probability to correct for a prevalence",
                "Train it with --set evaluation.calibration=platt",
            )
        return None
    calibration = stored.function
    if prevalence is None:
        return calibration
    trained = stored.prevalence
    prevalence_corrected(0.5, trained, prevalence)  # refused now, not after an hour
    return lambda scores: prevalence_corrected(calibration(scores), trained, prevalence)


def _expected_mean(scorer: Scorer) -> float | None:
    """The mean of prepared training pictures in [0, 1]: the model's own word, else from what it subtracts."""
    told = scorer.card.training_domain.grey_mean
    if told is not None:
        return told
    match scorer.preprocessing.intensity_steps:
        case (Scale() as scale, SubtractMean() as mean, _) if mean.mean > 0:
            return mean.mean / (scale.levels * scale.factor)
    return None


def _unusual(grey_mean: float, scorer: Scorer) -> bool:
    expected = _expected_mean(scorer)
    return expected is not None and not expected / GREY_FACTOR <= grey_mean <= expected * GREY_FACTOR


def _warnings(table: pd.DataFrame, scorer: Scorer, run: _Run) -> list[str]:
    warnings = foreign(run.rows, scorer.card.training_domain)
    means = table["grey_mean"].to_numpy()
    unusual = [mean for mean in means if _unusual(mean, scorer)]
    if unusual:
        warnings.append(
            f"{len(unusual)} of {len(means)} pictures are much brighter or darker than those of the model's training: "
            f"mean grey {min(unusual):.3f} to {max(unusual):.3f}, there {_expected_mean(scorer):.3f} of white; "
            "look at window and polarity"
        )
    if ABSTAIN in table and table[ABSTAIN].any():
        far, limit = int(table[ABSTAIN].sum()), scorer.card.training_domain.distance
        told = "" if limit is None else f" ({table[DOMAIN_DISTANCE].max():.1f} at most, limit {limit.limit:.1f})"
        warnings.append(
            f"{far} of {len(table)} pictures lie farther from those of the model's training than all but one in a "
            f"hundred of validation did{told}: abstain is 1, and their scores should not be used as they are"
        )
    if len(table) > 2 and float(np.ptp(table["score"])) < SAME_SCORE:
        warnings.append(f"all {len(table)} pictures score {table['score'].iloc[0]:.4f}: the model tells none apart")
    return warnings + doubts(run.told)


def _write_sheet(
    path: Path, run: _Run, rejects: Sequence[Reject], scorer: Scorer, warnings: Sequence[str]
) -> tuple[Path, ...]:
    images = f"{len(run.rows)} image{'s' if len(run.rows) > 1 else ''}"
    heading = f"{scorer.path.parent.name}/{scorer.path.name}: {images} scored, {len(rejects)} not used"
    if len(run.rows) > len(run.pictures):
        heading += f"; the first {len(run.pictures)} are shown"
    threshold = scorer.card.threshold("image")
    has_map = any(picture.heatmap is not None and min(picture.heatmap.shape) > 1 for picture in run.pictures)
    remarks = [
        *warnings,
        HEAT_REMARK if has_map else "",
        "" if threshold is None else f"Red: the threshold {threshold:.3f}, and scores that reach it.",
    ]
    return tuple(write_sheet(path, run.pictures, heading, rejects, threshold, " ".join(filter(None, remarks))))
