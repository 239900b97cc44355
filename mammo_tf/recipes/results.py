"""What training leaves, and what a run leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import pandas as pd

from mammo_tf.data.sampling import PlanMaker, WholeImageSampling
from mammo_tf.evaluation import Metrics
from mammo_tf.records import Records
from mammo_tf.training import ModelCard, ModelFile


@dataclass(frozen=True)
class Trained:
    """What `train` left.

    Attributes:
        folder: the run folder.
        model: the trained network, float32, not compiled.
        card: what is known of it; nothing is measured yet.
        records: what it was trained on.
        origin: the start model, if there was one.
        start_patients: whom of validation and test that model had seen, see `proof.Proof`.
        data: the folder of records, or the manifest.
        root: data root of the manifest; by default its folder.
        workers: processes, where a manifest is prepared.
    """

    folder: Path
    model: keras.Model
    card: ModelCard
    records: Records
    origin: ModelFile | None
    start_patients: str
    data: Path
    root: Path | None = None
    workers: int = 1

    @property
    def data_folder(self) -> Path:
        """Where the ledger of the data lies."""
        return self.data if self.data.is_dir() else self.data.parent


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: the run folder.
        metrics: content of `metrics.json`.
        comparison: content of `comparison.json`: this model against the start model on the same images; empty without.
        model, card: what `model.keras` holds.
        records: what it was run on.
        predictions: of validation and test.
        scoring: what of each picture was scored.
    """

    folder: Path
    metrics: Metrics
    comparison: Metrics
    model: keras.Model
    card: ModelCard
    records: Records
    predictions: pd.DataFrame
    scoring: PlanMaker = WholeImageSampling()
