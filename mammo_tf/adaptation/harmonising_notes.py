"""What a reader must know of a harmonising before it is used: leave alone, doubtful, strong, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_tf.adaptation.domains import FEWEST, RECOMMENDED
from mammo_tf.imaging.harmonising import DomainStatistics, Harmonising

LITTLE_SHIFT, LITTLE_RATIO = 0.05, (0.8, 1.25)
MOST_DIFFERENCE = 1.5  # times, between robust and plain ratio of a band
STRONG = (0.5, 2.0)
UNEVEN_SPACING = 3.0  # times, between the smallest and the largest of a domain; breasts alone differ twofold
DOUBTFUL = "harmonising_doubtful"


@dataclass(frozen=True)
class Note:
    """One thing to know.

    Attributes:
        code: what kind of thing, `harmonising_...`.
        sentence: for readers.
    """

    code: str
    sentence: str


def notes(harmonising: Harmonising) -> list[Note]:
    """What is to be known of it, the gravest first.

    Args:
        harmonising: as `adaptation.harmonising.fit` gives it.
    """
    found = [_doubtful(harmonising), _needless(harmonising), _strong(harmonising)]
    for name, domain in (("source", harmonising.source), ("target", harmonising.target)):
        found += [_few(name, domain), _uneven(name, domain)]
    if len(harmonising.target.machines) > 1:
        sentence = (
            f"the target's pictures are of {len(harmonising.target.machines)} machines: a table each serves better"
        )
        found.append(Note("harmonising_machines", sentence))
    if harmonising.periphery is None:
        sentence = "brightness along the skin stays as it is: breasts are too small for it, or the source does not tell"
        found.append(Note("harmonising_periphery", sentence))
    if not harmonising.in_mm:
        sentence = "the spacing of some pictures is not known, so scales are equal in pixels, not in mm"
        found.append(Note("harmonising_in_pixels", sentence))
    if harmonising.patients_in_both:
        sentence = (
            f"{harmonising.patients_in_both} identifiers of patients occur in source and target: the same patients, or "
            "numbers that coincide"
        )
        found.append(Note("harmonising_same_patients", sentence))
    found.append(Note("harmonising_threshold", "a threshold does not travel: set it anew behind this, or match scores"))
    return [note for note in found if note is not None]


def _doubtful(harmonising: Harmonising) -> Note | None:
    pairs = zip(harmonising.robust_ratios, harmonising.plain_ratios, strict=True)
    factors = [max(robust / plain, plain / robust) for robust, plain in pairs]
    if max(factors) <= MOST_DIFFERENCE:
        return None
    worst = factors.index(max(factors))
    robust, plain = harmonising.robust_ratios[worst], harmonising.plain_ratios[worst]
    sentence = (
        f"the robust ratio of the band of scale {harmonising.scale_words[worst]} is {robust:.2f}, the plain one "
        f"{plain:.2f}: something other than tissue is in the pictures; look at the figure"
    )
    return Note(DOUBTFUL, sentence)


def _needless(harmonising: Harmonising) -> Note | None:
    low, high = LITTLE_RATIO
    shift = max(harmonising.curve_shift, harmonising.most_added)
    if shift >= LITTLE_SHIFT or not all(low <= one <= high for one in harmonising.robust_ratios):
        return None
    sentence = (
        f"leave the pictures alone: the curve moves them by {harmonising.curve_shift:.3f}, and all ratios lie between "
        f"{low:g} and {high:g}; along the skin no more than {harmonising.most_added:.3f} is added"
    )
    return Note("harmonising_needless", sentence)


def _strong(harmonising: Harmonising) -> Note | None:
    low, high = STRONG
    outside = [
        f"{ratio:.2f} at {harmonising.scale_words[number]}"
        for number, ratio in enumerate(harmonising.robust_ratios)
        if not low <= ratio <= high
    ]
    if not outside:
        return None
    sentence = f"use it only with a labelled check at the site: ratios leave {low:g} to {high:g} ({', '.join(outside)})"
    return Note("harmonising_strong", sentence)


def _few(name: str, domain: DomainStatistics) -> Note | None:
    count, word = (domain.histogram.images, "pictures") if domain.patients is None else (domain.patients, "patients")
    if count >= RECOMMENDED:
        return None
    sentence = f"the {name} has {count} {word}; {RECOMMENDED} consecutive patients are recommended, {FEWEST} needed"
    return Note("harmonising_few_patients", sentence)


def _uneven(name: str, domain: DomainStatistics) -> Note | None:
    if domain.spacings_mm is None or domain.spacings_mm[1] <= UNEVEN_SPACING * domain.spacings_mm[0]:
        return None
    low, high = domain.spacings_mm
    sentence = (
        f"prepared pixels of the {name} are {low:.2f} to {high:.2f} mm large; scales are in mm at the median, "
        f"{domain.bands.spacing_mm:.2f} mm"
    )
    return Note("harmonising_spacing", sentence)
