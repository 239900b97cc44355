"""How a step is computed: in which precision, compiled by what, and how many batches make one update."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_tf.errors import MammoError

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Computation:
    """What is computed alike in all stages of a run; none of it changes what a method is.

    Attributes:
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        accumulate: batches whose mean gradient makes one update: that of a batch so many times as large, in the memory
            of one. Batch statistics, and what a loss takes over a whole batch, stay those of each batch. An update
            that the batches of an epoch do not fill goes on in the next. On one device alone.
        xla: the step is compiled by XLA, on one device alone.
        cache_features: what the frozen layers in front make of a picture is computed once a stage, where no
            augmentation changes the picture; elsewhere the stage is trained as ever. On one device alone. The features
            lie in a file in the stage's folder as long as it runs.

    docs/benchmarks.md has what each brings where.

    Raises:
        MammoError: `computation_wrong`.
    """

    precision: str = "float32"
    accumulate: int = 1
    xla: bool = False
    cache_features: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise MammoError(
                "computation_wrong", f"precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )
        if self.accumulate < 1:
            raise MammoError("computation_wrong", f"accumulate is 1 or more, not {self.accumulate}")
