"""A model and the pictures of a site to a verdict on its shift: scores as `shift_files`, and pictures next to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.adaptation.model_site import MACHINE, ModelSite, opened_model, opened_site, site_of
from mammo_tf.adaptation.shift import REPLICATES, check_asked, verdict
from mammo_tf.adaptation.shift_files import shift_of_predictions
from mammo_tf.adaptation.shift_pictures import Looks, looks_at_both, looks_by_card
from mammo_tf.adaptation.shift_report import Told, check_by, machines_of_table, reported
from mammo_tf.adaptation.shift_verdict import SCORES, SHIFT_ALPHA, Evidence, Verdict
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.levels import DEFAULT_AGGREGATES, at_level, check_aggregates
from mammo_tf.evaluation.predictions import read_predictions
from mammo_tf.serving.score_source import check_source
from mammo_tf.study.table import read_table
from mammo_tf.training import ModelFile
from mammo_tf.training.training_domain import Histogram

OF_RUN = ("predictions_validation.csv", "predictions_test.csv")
UNEVEN = 0.1  # difference in the share of a view
IMAGES = 400  # of each place whose pictures are looked at, where nothing else is said
Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What a verdict by a model is asked for.

    Attributes:
        level, prevalence, threshold, aggregates, replicates, seed, pool_exams: as for `shift_of_predictions`.
        by: columns that tell machines of the site apart, each of which gets a verdict of its own.
        images: of how many pictures of each place more than the score is looked at, of whole patients.
    """

    level: str | None = None
    prevalence: float | None = None
    threshold: float | None = None
    aggregates: Mapping[str, str] | None = None
    replicates: int = REPLICATES
    seed: int = 0
    pool_exams: bool = False
    by: tuple[str, ...] = ()
    images: int = IMAGES


@dataclass(frozen=True)
class Reference:
    """Where a model is known to work.

    Attributes:
        name: for messages.
        scores: predictions, or by class on the card.
        site: its pictures; None where the card alone tells of them.
    """

    name: str
    scores: pd.DataFrame | Histogram
    site: ModelSite | None = None


def shift_of_model(
    model: str | Path,
    site: str | Path,
    folder: str | Path | None = None,
    reference: str | Path | None = None,
    asked: Asked = Asked(),
    workers: int = 1,
    root: str | Path | None = None,
) -> list[str]:
    """Says which shift a site has for a model, from its pictures without labels.

    Args:
        model: run folder or `.keras` file.
        site: records, or a manifest, which is prepared as the model has it; labels need not be there.
        folder: where `shift.json` and `shift.svg` and `.png` go; None writes nothing.
        reference: predictions of the model where it is known to work, or records or a manifest of that place; None
            takes the predictions of the run, or what the model's card tells.
        asked: all else.
        workers: processes that prepare a manifest.
        root: data root of manifests; by default their folders.

    Returns:
        Lines for a reader, as `shift_report.reported`.

    Raises:
        MammoError: those of `opened_model`, `opened_site`, `site_of`, `shift_of_predictions`; `reference_missing`
            where neither a file nor the card tells scores; `reference_placed` where a model of patches has scores
            alone to be compared with. Nothing is written then.
    """
    check_asked(asked.prevalence, asked.threshold, asked.replicates)
    check_aggregates(asked.aggregates or {})
    origin, notes = opened_model(model), list[str]()
    with TemporaryDirectory() as room:
        records = opened_site(origin, site, root, Path(room) / "site", workers, notes.append)
        check_by(asked.by, {**dict.fromkeys(MACHINE), **dict.fromkeys(map(str, records.rows))}, Path(site).name)
        here = site_of(origin, records, asked.images, asked.seed, Path(site).name, notes, asked.by)
        known = _reference(origin, Path(model), reference, root, Path(room), workers, asked, notes)
        table = here.scores()
        looks = (
            looks_by_card(origin.card.training_domain, here) if known.site is None else looks_at_both(known.site, here)
        )
    notes += _looks_notes(looks, known, here)
    names = known.name, Path(site).name if Path(site).name != known.name else str(site)
    machines = machines_of_table(table, asked.by, names[1])
    judge = _Judge(known, looks, here, table, names, asked, origin)
    whole = judge.told(np.ones(len(table), np.bool_), SHIFT_ALPHA)
    whole.notes.extend([*notes, *machines.notes])
    each = SHIFT_ALPHA / max(1, len(machines.rows))
    return reported(whole, [judge.told(rows, each, machine) for machine, rows in machines.rows.items()], folder)


@dataclass(frozen=True)
class _Judge:
    """What every verdict on a site is made of."""

    reference: Reference
    looks: Looks
    site: ModelSite
    table: pd.DataFrame
    names: tuple[str, str]
    asked: Asked
    origin: ModelFile

    def told(self, rows: NDArray[np.bool_], alpha: float, machine: str = "") -> Told:
        """The verdict on some rows of the site's table, at a level of all its tests together."""
        asked = self.asked
        chosen = self.site.positions_of(self.table[rows]) if machine else self.site.drawn
        evidence = self.looks.evidence(chosen, alpha, asked.replicates, asked.seed)
        alpha *= SCORES if evidence else 1.0
        names = (self.names[0], f"{machine} of {self.names[1]}") if machine else self.names
        scores, table = self.reference.scores, self.table[rows]
        if isinstance(scores, Histogram):
            found = _by_card(scores, table, asked, self.origin, evidence, alpha, names)
        else:
            found = shift_of_predictions(
                scores, table, asked.level, asked.prevalence, asked.threshold, self._aggregates, asked.replicates,
                asked.seed, asked.pool_exams, names, evidence, alpha,
            )  # fmt: skip
        seen = {one.what for one in evidence}
        few = [what for what, both in self.looks.by_name.items() if both is not None and what not in seen]
        if few:
            found[1].append(f"{' and '.join(few)} are of too few patients to be compared")
        return Told(*found, machine)

    @property
    def _aggregates(self) -> Mapping[str, str]:
        """As asked for, else as the model was measured."""
        own = self.origin.card.training_domain.validation_scores
        return self.asked.aggregates or (own.aggregates if own else None) or DEFAULT_AGGREGATES


def _by_card(
    histogram: Histogram,
    table: pd.DataFrame,
    asked: Asked,
    origin: ModelFile,
    evidence: Sequence[Evidence],
    alpha: float,
    names: tuple[str, str],
) -> tuple[Verdict, list[str]]:
    """The verdict where the reference is a histogram: scores of both places are taken for the middles of its bins."""
    level = histogram.level
    if asked.level not in (None, level) or asked.aggregates not in (None, histogram.aggregates):
        remedy = "Leave --level, --breast, --patient and --exam out, or name the reference's scores with --reference"
        raise MammoError("option_wrong", f"the model's card tells scores of the level {level} alone", remedy)
    cases = at_level(table, level, histogram.aggregates)
    if cases is None:
        raise MammoError("level_missing", f"nothing tells the level {level} of {names[1]}", "Name patients and breasts")
    edges = np.asarray(histogram.edges)
    middles, counts = (edges[1:] + edges[:-1]) / 2, np.asarray(histogram.counts)
    positives = np.asarray(histogram.positive_counts or np.zeros_like(counts))
    scores = np.concatenate([np.repeat(middles, positives), np.repeat(middles, counts - positives)])
    labels = (np.arange(len(scores)) < positives.sum()).astype(np.int64)
    binned = middles[np.searchsorted(edges[1:-1], cases["score"].to_numpy(np.float64), side="left")]
    threshold = origin.card.threshold(level) if asked.threshold is None else asked.threshold
    found = verdict(
        scores, binned, labels if 0 < positives.sum() < len(scores) else None, None, cases["patient_id"],
        prevalence=asked.prevalence, threshold=threshold, replicates=asked.replicates, seed=asked.seed, names=names,
        evidence=evidence, alpha=alpha,
    )  # fmt: skip
    return found, [
        f"compared are scores of the level {level}, those of the reference as the model's card has them, where neither "
        "ages nor densities stand beside them"
    ]


def _reference(
    origin: ModelFile,
    model: Path,
    given: str | Path | None,
    root: str | Path | None,
    room: Path,
    workers: int,
    asked: Asked,
    notes: list[str],
) -> Reference:
    """Where the model is known to work."""
    if given is not None and (Path(given).is_dir() or _is_manifest(given)):
        records = opened_site(origin, given, root, room / "reference", workers, notes.append)
        site = site_of(origin, records, asked.images, asked.seed, Path(given).name, notes)
        return Reference(Path(given).name, site.scores(), site)
    if origin.card.patch is not None:
        sentence = f"{model} is a model of patches, whose measured scores are of patches on known findings"
        remedy = "Name records or a manifest of the place where it is known to work with --reference"
        raise MammoError("reference_placed", sentence, remedy)
    files = [model / name for name in OF_RUN if (model / name).is_file()] if given is None else [Path(given)]
    if files:
        notes += check_source(files, model, origin.card)
        tables = [read_predictions(path, unlabelled=True) for path in files]
        notes.append(f"the reference's scores are those of {', '.join(map(str, files))}")
        return Reference(model.name if given is None else Path(given).name, pd.concat(tables, ignore_index=True))
    histogram = origin.card.training_domain.validation_scores
    if histogram is None:
        remedy = "Name scores or pictures of the place where the model is known to work with --reference"
        raise MammoError("reference_missing", f"the card of {model} tells no scores of validation", remedy)
    return Reference(model.name, histogram)


def _is_manifest(path: str | Path) -> bool:
    """Whether a table lists pictures: it has their paths, and no scores."""
    table, _ = read_table(path, f"the reference {path} is not there")
    return "path" in table and "score" not in table


def _looks_notes(looks: Looks, reference: Reference, site: ModelSite) -> list[str]:
    """What pictures were compared with, and why there is nothing to compare."""
    domain, notes = site.origin.card.training_domain, []
    if reference.site is None:
        notes.append("pictures are compared with what the model's card tells of training and validation")
    theirs = pd.Series(domain.counts.get("view", {})) if reference.site is None else reference.site.views
    ours = site.views
    if theirs.sum() and ours.sum():
        apart = (theirs / theirs.sum()).sub(ours / ours.sum(), fill_value=0).abs().max()
        if apart > UNEVEN:
            notes.append(f"the share of a view differs by {apart:.0%} from the reference's: views look different")
    for (what, both), told in zip(looks.by_name.items(), (domain.pictures, domain.embedding), strict=True):
        if both is None and reference.site is None and told is None:
            notes.append(f"the model's card tells no {what}: name pictures with --reference, or train it again")
        elif both is None:
            notes.append(f"{what} cannot be looked at: no breast masks, or no features in front of the output")
    return notes
