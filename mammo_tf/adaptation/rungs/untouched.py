"""The model as it came."""

from __future__ import annotations

from pathlib import Path

from mammo_tf.adaptation.rungs.rung import CARRIED, NOTHING, Climbed, Say, Site


class Untouched:
    """Nothing is done: the row that all others are held against."""

    name, title, needs, trains = "untouched", "Untouched", NOTHING, False

    def unfit(self, site: Site) -> str:
        """Always applies."""
        return ""

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        return Climbed(site.model, CARRIED)
