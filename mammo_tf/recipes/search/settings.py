"""How a search goes through its space."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_tf.errors import MammoError

RANDOM, HYPERBAND, BAYESIAN = "random", "hyperband", "bayesian"
METHODS = (RANDOM, HYPERBAND, BAYESIAN)
TRIALS, MOST = 20, 9999


@dataclass(frozen=True)
class Search:
    """What decides which trials are proposed, next to the space.

    Attributes:
        method: "random"; "bayesian", by a Gaussian process over the trials so far; or "hyperband", many trials of few
            epochs, the best of which are trained on.
        trials: at most; may be raised later. 0 for hyperband, which counts them by its epochs.
        seed: of the proposals.
        factor: of hyperband: of so many trials one is trained on, for so many times the epochs.

    Raises:
        MammoError: `search_wrong`.
    """

    method: str = RANDOM
    trials: int = TRIALS
    seed: int = 0
    factor: int = 3

    def __post_init__(self) -> None:
        rules = (
            (self.method in METHODS, f"the method of a search is one of {', '.join(METHODS)}, not {self.method!r}"),
            (
                self.method == HYPERBAND or 1 <= self.trials <= MOST,
                f"a search has 1 to {MOST} trials, not {self.trials}",
            ),
            (self.method != HYPERBAND or self.trials == 0, "hyperband counts its trials by its epochs"),
            (self.seed >= 0, f"the seed of a search is 0 or more, not {self.seed}"),
            (self.factor >= 2, f"the factor of hyperband is 2 or more, not {self.factor}"),
        )
        for right, rule in rules:
            if not right:
                raise MammoError("search_wrong", rule, "Fix the option")
