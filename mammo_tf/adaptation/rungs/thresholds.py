"""Rungs that leave the model alone and set its threshold anew: without a label, or from labelled training patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mammo_tf.adaptation.rungs.rung import (
    FROM_TRAINING,
    INTERCEPT,
    INTERCEPT_AND_SLOPE,
    LABELS,
    MATCHED,
    UNLABELLED_PICTURES,
    Climbed,
    Say,
    Site,
)

NO_THRESHOLD = "the model's card names no threshold for {level}s"
NO_REFERENCE = "scores of the model where it is known to work are not here: give its run folder, or --old"
NO_MATCHING = (
    "the model's measured patches lie on findings, which are not known at a site without labels: give --old, so that "
    "patches that lie anywhere are scored at both"
)


@dataclass(frozen=True)
class ThresholdSet:
    """The model's own scores at another threshold; they rank cases as before, so the AUC is that of `untouched`.

    Attributes:
        name, title, needs: see `Rung`.
        way: one of `rung.WAYS`.
        needs_reference: whether the reference's scores are asked for.
    """

    name: str
    title: str
    needs: str
    way: str
    needs_reference: bool = True
    trains: bool = False

    def unfit(self, site: Site) -> str:
        """See `Rung`."""
        if self.needs_reference and site.threshold is None:
            return NO_THRESHOLD.format(level=site.level)
        if self.needs_reference and site.reference is None:
            return NO_REFERENCE
        if self.way == MATCHED and site.matching is None:
            return NO_MATCHING
        if self.needs == LABELS and not site.both_classes_in_training:
            return "training patients of the site with labels of both classes are wanted"
        return ""

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        return Climbed(site.model, self.way)


SCORES_MATCHED = ThresholdSet("scores_matched", "Scores matched", UNLABELLED_PICTURES, MATCHED)
NEW_THRESHOLD = ThresholdSet("new_threshold", "New threshold", LABELS, FROM_TRAINING, needs_reference=False)
RECALIBRATED_INTERCEPT = ThresholdSet("recalibrated_intercept", "Recalibrated, intercept", LABELS, INTERCEPT)
RECALIBRATED = ThresholdSet("recalibrated", "Recalibrated, intercept and slope", LABELS, INTERCEPT_AND_SLOPE)
