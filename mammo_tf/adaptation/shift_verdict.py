"""A verdict on a site's shift: what it rests on, what it says, and what follows for scores and threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mammo_tf.evaluation.number_text import threshold_text
from mammo_tf.evaluation.prevalence_matching import MatchedPoint
from mammo_tf.fields import to_json

NONE, PREVALENCE, ACQUISITION, BOTH, UNCLEAR = KINDS = ("none", "prevalence", "acquisition", "both", "unclear")
SHIFT_ALPHA = 0.025  # of the test of any shift: of 200 halves of one site no more than 5 % are then called shifted
ALPHA = 0.05  # of the tests that tell which it is
ADVISED_PATIENTS = 200  # with fewer a prevalence of three times the reference's is often missed (docs/shift.md)


@dataclass(frozen=True)
class Distributions:
    """Cumulative distributions over patients, the share at or below each score.

    Attributes:
        score: points, not falling.
        reference, site: at the points.
        mixture: of the reference's classes, the one nearest to the site; None without labels.
    """

    score: tuple[float, ...]
    reference: tuple[float, ...]
    site: tuple[float, ...]
    mixture: tuple[float, ...] | None


@dataclass(frozen=True)
class Verdict:
    """Which shift a site has. What needs labels of both classes of the reference is None without them.

    Attributes:
        kind: `none` (none is seen), `prevalence`, `acquisition`, `both`, or `unclear` (one is seen, and which cannot
            be told).
        names: of reference and site.
        p_shift: of the hypothesis that both have one distribution of scores.
        p_mixture: of the hypothesis that the site is a mixture of the reference's classes in some share.
        p_known: the same, in the known share.
        reference_prevalence: share of the reference's patients that is positive.
        prevalence, prevalence_low, prevalence_high: of the site, if nothing but prevalence differs, with a 95 %
            interval over patients.
        known_prevalence: of the site, where someone knows it.
        differences: in what else the patients differ, in words.
        reference_patients, positive_patients, site_patients: how many; the second of the reference.
        threshold: of the reference.
        matching: what matching would do there if nothing but prevalence differed.
        distributions: what the verdict was made of.
    """

    kind: str
    names: tuple[str, str]
    p_shift: float
    p_mixture: float | None
    p_known: float | None
    reference_prevalence: float | None
    prevalence: float | None
    prevalence_low: float | None
    prevalence_high: float | None
    known_prevalence: float | None
    differences: tuple[str, ...]
    reference_patients: int
    positive_patients: int | None
    site_patients: int
    threshold: float | None
    matching: MatchedPoint | None
    distributions: Distributions

    @property
    def sentence(self) -> str:
        """The verdict for a reader, without a final full stop."""
        reference, site = self.names
        if self.kind == NONE:
            return (
                f"no shift is seen: the scores of {site} ({self.site_patients} patients) are distributed as those of "
                f"{reference} (p {self.p_shift:.2g})"
            )
        if self.kind == UNCLEAR:
            why = f"too small among {self.site_patients} patients to tell which"
            if self.p_mixture is None:
                why = f"and without labels of both classes in {reference} it cannot be told which"
            return f"there is a shift (p {self.p_shift:.2g}), {why}"
        if self.kind == PREVALENCE:
            return f"the shift is one of prevalence: {self._mixed()}"
        if self.kind == BOTH:
            return f"the shift is one of acquisition and of patients: {self._unmixed()}, and {self._other_patients()}"
        hidden = "; whether prevalence differs as well cannot be told from them"
        return f"the shift is one of acquisition: {self._unmixed()}{hidden if self.known_prevalence is None else ''}"

    @property
    def follows(self) -> tuple[str, ...]:
        """What follows for scores and threshold, one sentence each, without full stops."""
        site = self.names[1]
        anew = f"choose the threshold anew on labelled cases of {site} (evaluate --rule)"
        if self.kind == NONE:
            first = ["leave scores and threshold as they are"]
            if self.site_patients < ADVISED_PATIENTS:
                first.append(f"{self.site_patients} patients are few: another prevalence is easily missed")
        elif self.kind == PREVALENCE:
            first = [
                f"do not match scores: {self._harm()}",
                "leave scores and threshold as they are, and correct probabilities for the other prevalence",
            ]
        elif self.kind == ACQUISITION and self.known_prevalence is None:
            first = ["match scores (match-scores), if prevalence is known to be the same: matching takes it to be"]
        elif self.kind == ACQUISITION:
            first = ["match scores (match-scores): prevalence is the same"]
        elif self.kind == BOTH:
            first = [f"do not match scores, which takes the other patients for the machine's doing: {anew}"]
            if self.known_prevalence is not None:
                first.append(f"how much that matters: by the other prevalence alone, {self._harm()}")
        else:
            first = [
                f"do not match scores before it is told which shift it is: gather more patients or labels, or {anew}"
            ]
        return (*first, *self._cautions())

    def to_json(self) -> dict[str, Any]:
        """Plain data, what it says first."""
        found: dict[str, Any] = to_json(self)
        matching = None if self.matching is None else self.matching._asdict()
        told = {"kind": self.kind, "sentence": self.sentence, "follows": list(self.follows)}
        return told | found | {"matching": matching}

    def _mixed(self) -> str:
        """That a mixture of the reference's classes explains the site's scores."""
        reference, site = self.names
        if self.known_prevalence is None:
            share = f"{self._estimate()} instead of {self.reference_prevalence:.3g}"
        else:
            share = f"the known {self.known_prevalence:.3g} instead of {self.reference_prevalence:.3g}"
        return f"{site} has the scores of positive and negative patients of {reference} in another share, {share}"

    def _unmixed(self) -> str:
        """That none does."""
        reference, site = self.names
        p = self.p_mixture if self.p_known is None else self.p_known
        at = "" if self.known_prevalence is None else f" at the known prevalence {self.known_prevalence:.3g}"
        return (
            f"no mixture of positive and negative patients of {reference}{at} explains the scores of {site} (p {p:.2g})"
        )

    def _other_patients(self) -> str:
        told = list(self.differences)
        if self.known_prevalence is not None:
            told.insert(0, f"prevalence, {self.reference_prevalence:.3g} and the known {self.known_prevalence:.3g}")
        return f"the patients differ in {'; '.join(told)}"

    def _estimate(self) -> str:
        return f"{self.prevalence:.3g} (95 % {self.prevalence_low:.3g} to {self.prevalence_high:.3g})"

    def _harm(self) -> str:
        """What matching would do under this prevalence."""
        if self.matching is None or self.threshold is None:
            return "it would move the operating point"
        one = self.matching
        return (
            f"at the threshold {threshold_text(self.threshold)} it would take sensitivity from {one.sensitivity:.3f} "
            f"to {one.matched_sensitivity:.3f} and specificity from {one.specificity:.3f} to "
            f"{one.matched_specificity:.3f}"
        )

    def _cautions(self) -> list[str]:
        """What is to be held against the verdict."""
        found = []
        if self.kind == PREVALENCE and self.known_prevalence is None:
            found.append("make sure of the prevalence from elsewhere: a small shift of acquisition can look the same")
        if self.kind == BOTH and self.known_prevalence is None:
            found.append("another case mix alone can move scores: compare women of the same age and density")
        if self.kind != BOTH and self.differences:
            found.append(f"the patients differ in {'; '.join(self.differences)}, which can move scores as well")
        if self.kind in (ACQUISITION, BOTH) and self.p_known is not None and self.p_mixture > ALPHA:  # type: ignore[operator]
            found.append(f"a prevalence of {self._estimate()} would explain the scores: make sure of the known one")
        return found
