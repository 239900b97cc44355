"""The site's grey values carried to those that the model knows, by one look-up table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mammo_tf.adaptation.domains import histogram_of_card
from mammo_tf.adaptation.rungs.rung import MATCHED, UNLABELLED_PICTURES, Climbed, Say, Site
from mammo_tf.adaptation.site_pictures import training_part
from mammo_tf.imaging.domain_histogram import BREAST, NOT_BLACK, DomainHistogram, lookup_step
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import records_histogram, with_matching
from mammo_tf.training import ModelCard

NO_SOURCE = "the model's card does not tell what its training pictures are like: give --old"


class Histogram:
    """Histogram matching (method A) between unlabelled training pictures of both sites."""

    name, title, needs, trains = "histogram", "Histogram matched", UNLABELLED_PICTURES, False

    def unfit(self, site: Site) -> str:
        """See `Rung`."""
        return NO_SOURCE if site.look is None else ""

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        assert site.look is not None  # else unfit
        assert site.model.preprocessing is not None  # refused before
        target, source = (
            histogram_of_card(look) if isinstance(look, ModelCard) else _found(name, look, site)
            for name, look in (("target", site.records), ("source", site.look))
        )
        steps = with_matching(site.model.preprocessing, lookup_step(target, source))
        return Climbed(replace(site.model, card=replace(site.model.card, preprocessing=steps)), MATCHED)


def _found(name: str, records: Records, site: Site) -> DomainHistogram:
    pixels = BREAST if site.records.preprocessing.finds_breast else NOT_BLACK
    return records_histogram(training_part(records, site.settings.patients), None, pixels=pixels, name=name)
