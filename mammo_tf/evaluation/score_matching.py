"""Scores of another site carried over to the reference's scale by their distribution alone, without a label.

A score of the site becomes the reference's score of the same rank: the cumulative distributions are matched, as in
Roschewitz et al., Automatic correction of performance drift under acquisition shift in medical image classification,
Nature Communications 2023. A threshold that was set on the reference then calls the same share of both sites. That is
right where prevalence and case mix are the same at both; where they are not, it moves the operating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json

LEAST_PATIENTS = 25  # of a sample: with fewer, one unusual patient moves the operating point (docs/score_matching.md)
ADVISED_PATIENTS = 250  # in nine of ten samples specificity is then within .03 of what all patients give
PERCENT, TENFOLD = 100, 10  # tops of scales
APART = 5  # times: tops of two sites' scores of one scale are no further apart
SHARES, NUMBERS, LOGITS = "shares", "numbers", "logits"  # 0 to 1; beyond 1; below 0
WORDING = Wording("the score table", "field", "", *["score_table_wrong"] * 3)


@dataclass(frozen=True)
class ScoreTable:
    """A rising map of the site's scores to the reference's; data, no code.

    Between knots it is straight; outside it goes on with the mean slope, and where the reference lies in 0 to 1 never
    leaves it. No two scores change their order, and equal scores stay equal.

    Attributes:
        from_scores: knots, scores of the site, rising strictly, two or more.
        to_scores: what they become, never falling.
        n_reference, n_site: how many scores it was made of.

    Raises:
        MammoError: `score_table_wrong`.
    """

    from_scores: tuple[float, ...]
    to_scores: tuple[float, ...]
    n_reference: int
    n_site: int

    def __post_init__(self) -> None:
        before, after = (np.asarray(scores, np.float64) for scores in (self.from_scores, self.to_scores))
        if len(before) != len(after) or len(before) < 2:
            raise _wrong(f"{len(before)} and {len(after)} knots are no table")
        if not (np.isfinite(before).all() and np.isfinite(after).all()):
            raise _wrong("a knot is not a finite number")
        if (np.diff(before) <= 0).any() or (np.diff(after) < 0).any():
            raise _wrong("the knots do not rise")

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """As `apply`."""
        return self.apply(scores)

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Any scores of the site on the reference's scale, float64 of the same shape.

        Args:
            scores: finite numbers on the scale that the table was made from.

        Raises:
            MammoError: `score_not_finite`.
        """
        given = np.asarray(scores, np.float64)
        if not np.isfinite(given).all():
            raise MammoError("score_not_finite", f"{int((~np.isfinite(given)).sum())} scores are not finite numbers")
        before, after = np.asarray(self.from_scores), np.asarray(self.to_scores)
        place = np.clip(np.searchsorted(before, given, side="right") - 1, 0, len(before) - 2)
        low, high = after[place], after[place + 1]
        share = (given - before[place]) / (before[place + 1] - before[place])
        found = np.clip(low + share * (high - low), low, high)  # rounding creates no order
        slope = (after[-1] - after[0]) / (before[-1] - before[0])
        found = np.where(given < before[0], after[0] + slope * (given - before[0]), found)
        found = np.where(given > before[-1], after[-1] + slope * (given - before[-1]), found)
        return np.clip(found, 0.0, 1.0) if _are_shares(after) else np.asarray(found)

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same table."""
        knots = {"from_scores": list(self.from_scores), "to_scores": list(self.to_scores)}
        return {**knots, "n_reference": self.n_reference, "n_site": self.n_site}

    @classmethod
    def from_json(cls, stored: Any, where: str = "") -> ScoreTable:
        """The inverse of `to_json`; `score_table_wrong` for anything else."""
        return from_json(cls, stored, where, WORDING)


def match(reference_scores: ArrayLike, site_scores: ArrayLike) -> ScoreTable:
    """The table that gives the site's scores the distribution of the reference's; no label is looked at.

    With `n` scores, the one of rank k stands at the share k / (n + 1): of the share that the next score exceeds, this
    has the right mean in samples of any size, which matters in small ones and at high thresholds. Equal scores of the
    site stand at the middle of their ranks. Equal scores of the reference take up all of theirs, so that the share at
    or above each of them is met too; between reference scores the line is straight. Only ranks of the site's scores
    count, so a rising change of all of them changes nothing of what they become.

    Args:
        reference_scores: where the threshold was set, `[n]`, of any scale.
        site_scores: of the site, `[m]`, of any scale. Draw patients, not images, and take all images of each.

    Raises:
        MammoError: `scores_missing`, `score_not_finite`, `scores_constant`.
    """
    reference, site = _checked(reference_scores, "reference"), _checked(site_scores, "site")
    levels, first, last = _shares_below(reference)
    knots, lowest, highest = _shares_below(site)
    step = (levels[-1] - levels[0]) / (
        len(levels) - 1
    )  # beyond the reference's ends its scores go on as they are apart
    ends = np.array([levels[0] - step, levels[-1] + step])
    if _are_shares(levels):
        ends = np.clip(ends, 0.0, 1.0)
    shares = np.concatenate([[0.0], np.stack([first, last], axis=1).ravel(), [1.0]])
    values = np.concatenate([ends[:1], np.repeat(levels, 2), ends[1:]])
    told = np.append(np.diff(shares) > 0, True)  # a score that stands once is one point
    matched = np.maximum.accumulate(np.interp((lowest + highest) / 2, shares[told], values[told]))
    if _are_shares(levels) and _are_shares(knots):
        knots, matched = _with_ends(knots, matched)
    return ScoreTable(tuple(knots.tolist()), tuple(matched.tolist()), len(reference), len(site))


def check_patients(patients: int, what: str) -> str:
    """Refuses to match scores of too few patients; a line where there are enough to match and few to rely on.

    Args:
        patients: of a sample.
        what: whose they are, for the message.

    Returns:
        Empty where they are as many as advised.

    Raises:
        MammoError: `patients_few`.
    """
    if patients < LEAST_PATIENTS:
        wanted = f"Gather {LEAST_PATIENTS} or more, consecutive and unselected; {ADVISED_PATIENTS} are advised"
        many = "1 patient" if patients == 1 else f"{patients} patients"
        raise MammoError("patients_few", f"{what}: scores of {many} are too few to be matched", wanted)
    if patients < ADVISED_PATIENTS:
        return (
            f"{what}: {patients} patients are enough to match, and few: from sample to sample the recall rate strays "
            f"as its interval says; {ADVISED_PATIENTS} are advised"
        )
    return ""


def check_scales(reference_scores: ArrayLike, site_scores: ArrayLike, reference: str, site: str) -> None:
    """Refuses scores that are plainly on two scales: one of a model is matched to the same model's.

    Args:
        reference_scores, site_scores: finite numbers, `[n]` and `[m]`.
        reference, site: what messages call them.

    Raises:
        MammoError: `scales_differ`, with how to bring them to one.
    """
    found = tuple(np.asarray(scores, np.float64) for scores in (reference_scores, site_scores))
    kinds = tuple(_scale(scores) for scores in found)
    tops = [float(np.abs(scores).max()) for scores in found]
    if kinds[0] == kinds[1] != NUMBERS or (SHARES not in kinds and max(tops) <= APART * min(tops)):
        return
    runs = [
        f"{name} from {scores.min():.4g} to {scores.max():.4g}"
        for name, scores in zip((reference, site), found, strict=True)
    ]
    raise MammoError("scales_differ", f"scores run in {' and in '.join(runs)}: two scales", _to_one_scale(kinds, tops))


def _scale(scores: NDArray[np.float64]) -> str:
    if _are_shares(scores):
        return SHARES
    return LOGITS if scores.min() < 0 else NUMBERS


def _to_one_scale(kinds: tuple[str, ...], tops: list[float]) -> str:
    """What to do about two scales."""
    if SHARES in kinds and LOGITS in kinds:
        return "Write logits as probabilities, 1 / (1 + exp(-logit)), in one of the files"
    if SHARES in kinds:
        divisor = TENFOLD if max(tops) <= TENFOLD else PERCENT
        return f"Write both as one: divide percentages by 100, a score of 0 to 10 by 10 (here by {divisor}, it seems)"
    return "Take the same model's scores, written in one way in both files"


def _with_ends(
    knots: NDArray[np.float64], matched: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots of probabilities with 0 and 1, which stay what they are where no score of the site says otherwise."""
    if knots[0] > 0:
        knots, matched = np.append(0.0, knots), np.append(0.0, matched)
    if knots[-1] < 1:
        knots, matched = np.append(knots, 1.0), np.append(matched, 1.0)
    return knots, matched


def _shares_below(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The scores that occur, rising, and the first and the last rank of each as shares of n + 1."""
    levels, counts = np.unique(scores, return_counts=True)
    last = np.cumsum(counts)
    return levels, (last - counts + 1) / (len(scores) + 1), last / (len(scores) + 1)


def _are_shares(scores: NDArray[np.float64]) -> bool:
    return bool(scores.min() >= 0 and scores.max() <= 1)


def _checked(scores: ArrayLike, whose: str) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64).ravel()
    if not len(values):
        raise MammoError("scores_missing", f"the {whose} has no scores", "Score some of its patients")
    if not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).sum())
        sentence = f"{wrong} of {len(values)} scores of the {whose} are not finite numbers"
        raise MammoError("score_not_finite", sentence, "Score these images again, or leave them out")
    if values.min() == values.max():
        sentence = f"all {len(values)} scores of the {whose} are {values[0]:g}, so they rank nothing"
        raise MammoError("scores_constant", sentence, "Look at how they were made")
    return values


def _wrong(sentence: str) -> MammoError:
    return MammoError("score_table_wrong", f"the score table cannot be used: {sentence}", "Match the scores again")
