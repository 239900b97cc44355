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
SCORES, PICTURES, FEATURES = 0.6, 0.2, 0.2  # shares of SHIFT_ALPHA, where pictures are looked at as well
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
class Evidence:
    """What one look at the pictures of both places says.

    Attributes:
        what: was compared, in words: `grey values and contrast`, `features`.
        p: of the hypothesis that both have one distribution of it.
        p_beyond: of the hypothesis that another prevalence explains the site's mean; where the classes of the reference
            are not known, that it lies within a standard deviation of the reference's.
        alpha: from which `p` down it counts as different.
        distance: of the two means, in standard deviations of patients (Mahalanobis' distance).
        reference_patients, site_patients: how many were looked at.
        how: p was found, in words.
    """

    what: str
    p: float
    p_beyond: float
    alpha: float
    distance: float
    reference_patients: int
    site_patients: int
    how: str

    @property
    def differs(self) -> bool:
        """Whether the pictures do."""
        return self.p <= self.alpha

    @property
    def of_machine(self) -> bool:
        """Whether they differ beyond what prevalence explains."""
        return self.differs and self.p_beyond <= ALPHA


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
        evidence: what pictures say; empty where they were not looked at.
        alpha: from which `p_shift` down scores count as different.
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
    evidence: tuple[Evidence, ...] = ()
    alpha: float = SHIFT_ALPHA

    @property
    def sentence(self) -> str:
        """The verdict for a reader, without a final full stop."""
        reference, site = self.names
        if self.kind == NONE:
            alike = f"; nor are its pictures seen to differ ({self._looks()})" if self.evidence else ""
            return (
                f"no shift is seen: the scores of {site} ({self.site_patients} patients) are distributed as those of "
                f"{reference} (p {self.p_shift:.2g}){alike}"
            )
        if self.kind == UNCLEAR:
            seen = f"p {self.p_shift:.2g}" if self.p_shift <= self.alpha else f"of pictures: {self._looks()}"
            return f"there is a shift ({seen}), {self._why_unclear()}"
        if self.kind == PREVALENCE:
            alike = f"; beyond that its pictures are not seen to differ ({self._looks()})" if self.evidence else ""
            return f"the shift is one of prevalence: {self._mixed()}{alike}"
        if self.kind == BOTH:
            both = f"{self._other_machine()}, and {self._other_patients()}"
            return f"the shift is one of acquisition and of patients: {both}"
        hidden = "; whether prevalence differs as well cannot be told" if self.known_prevalence is None else ""
        return f"the shift is one of acquisition: {self._other_machine()}{hidden}"

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
        elif self.kind == ACQUISITION and self.p_shift > self.alpha:
            first = [
                "leave scores and threshold as they are, and score further patients: the pictures are other ones, "
                "their scores are not seen to be"
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

    def _other_machine(self) -> str:
        """What speaks for another acquisition."""
        if not self.evidence:
            return self._unmixed()
        reference, site = self.names
        pictures = f"pictures of {site} differ from those of {reference} beyond what prevalence does"
        if self.p_shift > self.alpha:
            scores = f"its scores are not seen to differ (p {self.p_shift:.2g})"
        elif self.p_mixture is None:
            scores = f"its scores differ (p {self.p_shift:.2g})"
        elif self._p_of_mixture <= ALPHA:
            scores = self._unmixed()
        else:
            scores = f"another prevalence alone would explain its scores (p {self._p_of_mixture:.2g})"
        return f"{pictures} ({self._looks()}), and {scores}"

    def _why_unclear(self) -> str:
        """Why it cannot be told which shift it is."""
        if self.p_mixture is None:
            return f"and without labels of both classes in {self.names[0]} it cannot be told which"
        if self.evidence and self._p_of_mixture <= ALPHA:
            return (
                f"and it cannot be told which: {self._unmixed()}, and beyond what prevalence does its pictures are not "
                f"seen to differ ({self._looks()})"
            )
        return f"too small among {self.site_patients} patients to tell which"

    def _looks(self) -> str:
        """What was found in pictures."""
        return ", ".join(f"{one.what} p {one.p:.2g}" for one in self.evidence)

    @property
    def _p_of_mixture(self) -> float:
        """That a mixture explains the scores, in the known share where there is one; 1 without labels."""
        found = self.p_mixture if self.p_known is None else self.p_known
        return 1.0 if found is None else found

    def _unmixed(self) -> str:
        """That no mixture explains the site's scores."""
        reference, site = self.names
        p = self._p_of_mixture
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
            moved = "move scores and change pictures" if self.evidence else "move scores"
            found.append(f"another case mix alone can {moved}: compare women of the same age and density")
        if self.kind == ACQUISITION and self.evidence and not self.differences:
            found.append("denser or younger breasts look different too: compare women of the same age and density")
        if self.kind != BOTH and self.differences:
            found.append(f"the patients differ in {'; '.join(self.differences)}, which can move scores as well")
        if self.kind in (ACQUISITION, BOTH) and self.p_known is not None and self.p_mixture > ALPHA:  # type: ignore[operator]
            found.append(f"a prevalence of {self._estimate()} would explain the scores: make sure of the known one")
        return found
