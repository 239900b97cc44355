"""The site's pictures carried to the look that the model knows: curve, then contrast by scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mammo_tf.adaptation.domains import CardSource
from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.rungs.histogram import NO_SOURCE
from mammo_tf.adaptation.rungs.rung import MATCHED, UNLABELLED_PICTURES, Climbed, Say, Site
from mammo_tf.errors import MammoError
from mammo_tf.imaging.harmonising import Harmonising, with_harmonising
from mammo_tf.training import ModelCard

FILE = "harmonising.json"
NO_BREAST = "pictures were prepared without looking for the breast, which contrast by scale is measured in"


def harmonising_of(site: Site) -> Path:
    """The file of the harmonising, fitted on unlabelled training pictures of both sites once for all rungs."""
    assert site.look is not None  # else unfit
    path = (site.rung_folder(Harmonised.name) / FILE).resolve()  # recipes name it, from whatever folder they are run
    if not path.is_file():
        fit(site.look, site.records, patients=site.settings.patients).save(path)
    return path


def unfit_to_harmonise(site: Site) -> str:
    """Why pictures of this site cannot be harmonised; empty where they can."""
    if site.look is None:
        return NO_SOURCE
    if not site.records.preprocessing.finds_breast:
        return NO_BREAST
    try:
        if isinstance(site.look, ModelCard):
            CardSource(site.look)
    except MammoError as error:
        return f"{error.sentence}: give --old"
    return ""


class Harmonised:
    """One curve and one gain a band for the site's pictures, the network left alone."""

    name, title, needs, trains = "harmonised", "Harmonised", UNLABELLED_PICTURES, False

    def unfit(self, site: Site) -> str:
        """See `Rung`."""
        return unfit_to_harmonise(site)

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        assert site.model.preprocessing is not None  # refused before
        found = Harmonising.load(harmonising_of(site))
        steps = with_harmonising(site.model.preprocessing, found)
        model = replace(site.model, card=replace(site.model.card, preprocessing=steps))
        return Climbed(model, MATCHED, tuple(note.sentence for note in notes(found)))
