"""What a rung of the ladder is: one way to take a model to a new site, and what it asks of the site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.imaging.harmonising import look_steps, with_harmonising
from mammo_tf.imaging.steps import IntensityStep
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.records import Records
from mammo_tf.training import ModelCard, ModelFile

NOTHING, UNLABELLED_PICTURES, LABELS = "nothing", "unlabelled pictures", "labels"
CARRIED, MATCHED, FROM_TRAINING, FROM_VALIDATION = "carried", "matched", "training", "validation"
INTERCEPT, INTERCEPT_AND_SLOPE = "intercept", "intercept and slope"
WAYS = {
    CARRIED: "the model's own threshold",
    MATCHED: "the score that calls as large a share of the site as the model's threshold calls of the reference",
    FROM_TRAINING: "chosen on labelled training patients",
    INTERCEPT: "where the probability, refitted by an intercept on labelled training patients, is the reference's",
    INTERCEPT_AND_SLOPE: "where the probability, refitted by intercept and slope on labelled training patients, is the "
    "reference's",
    FROM_VALIDATION: "chosen on validation",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """A model at a new site: what every rung starts from.

    Attributes:
        start: file or run folder of the model.
        model: what it holds.
        records: prepared pictures of the site, all splits.
        recipe: how scores are made and put together; it trains nothing.
        settings: of the rungs that train.
        level: of the cases that are counted.
        folder: of the ladder; each rung has `rungs/<name>/` in it.
        data: folder of the records or of the manifest, where measurements of test are entered (`records.ledger`).
        source: prepared training pictures of the site that the model knows, prepared alike; None without them.
        reference: predictions where the model is known to work, on patients it was not trained on; None without them.
        matching: those that unlabelled scores are matched to: the reference, or where a model of patches was measured
            on findings, predictions of the same pictures with patches that lie anywhere; None without them.
    """

    start: Path
    model: ModelFile
    records: Records
    recipe: Recipe
    settings: LadderSettings
    level: str
    folder: Path
    data: Path
    source: Records | None = None
    reference: pd.DataFrame | None = None
    matching: pd.DataFrame | None = None

    @property
    def look(self) -> Records | ModelCard | None:
        """What tells the look that the model knows: pictures of the old site, or its card; None where neither does.

        A model that carries pictures to the look of another domain knows that one, not the old site's.
        """
        if self.source is not None and not look_of(self.model):
            return self.source
        return None if self.model.card.training_domain.distribution is None else self.model.card

    @property
    def threshold(self) -> float | None:
        """The model's own, at the level."""
        return self.model.card.threshold(self.level)

    def rung_folder(self, name: str) -> Path:
        """Where a rung keeps its files."""
        return self.folder / "rungs" / name

    @property
    def labelled_in_training(self) -> pd.DataFrame:
        """Rows of training whose truth is known."""
        rows = self.records.rows.iloc[self.records.positions("train")]
        return rows[self.recipe.task.truth(rows) >= 0]

    @property
    def both_classes_in_training(self) -> bool:
        """Whether there is something to learn."""
        return len(np.unique(self.recipe.task.truth(self.labelled_in_training))) == 2


@dataclass(frozen=True)
class Climbed:
    """What a rung made of the model.

    Attributes:
        model: scored at the site by its own preprocessing.
        way: how its threshold comes about, one of `WAYS`.
        notes: what its reader must know, a sentence each.
        weights_changed: whether the old site gets another network as well; else its pictures are scored as before.
    """

    model: ModelFile
    way: str
    notes: tuple[str, ...] = ()
    weights_changed: bool = False

    def at_the_old_site(self, start: ModelFile) -> ModelFile:
        """The same network, with the start model's way to carry pictures to the look that it knows."""
        steps = self.model.preprocessing
        if steps is None:
            return self.model
        card = replace(self.model.card, preprocessing=with_harmonising(steps, look_of(start)))
        return replace(self.model, card=card)


def look_of(model: ModelFile) -> tuple[IntensityStep, ...]:
    """The steps by which a model carries pictures to the look of a domain."""
    return () if model.preprocessing is None else look_steps(model.preprocessing)


class Rung(Protocol):
    """One way to take a model to a site; a file each in this folder.

    Attributes:
        name: of its folder, letters and underscores.
        title: for readers.
        needs: `NOTHING`, `UNLABELLED_PICTURES` or `LABELS`.
        trains: whether weights are fitted to labels, so that labelled patients it learnt from cannot judge it.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def needs(self) -> str: ...

    @property
    def trains(self) -> bool: ...

    def unfit(self, site: Site) -> str:
        """Why the rung does not apply to this model or site, a sentence; empty where it does."""

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """Does it; called again in the same folder it continues or reads what is there.

        Args:
            site: where, and with what.
            folder: its own.
            say: is told in a line what happens.
        """
