"""What the command `tables` calls and prints: the thesis's tables as one experiment."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.commands import _tensorflow_loaded
from mammo_tf.errors import MammoError

if TYPE_CHECKING:
    from mammo_tf.experiments.end2end.experiment import Sites

SITES = ("target", "start_1", "start_2", "source_1", "source_2", "features")
NEEDED = SITES[:3]


def tables(options: Namespace) -> None:
    """Runs the thesis's tables on the synthetic study, or on prepared collections."""
    with _tensorflow_loaded():
        from mammo_tf.experiments.end2end.experiment import thesis_tables
        from mammo_tf.experiments.end2end.recipes import COLLECTIONS, PHANTOM, SMOKE

    given = _given(options)
    if given is not None and (options.smoke or options.pairs):
        raise MammoError("option_wrong", "--smoke and --pairs belong to the synthetic study", "Leave them out")
    size = SMOKE if options.smoke else PHANTOM if given is None else COLLECTIONS
    if options.pairs:
        size = replace(size, pairs=options.pairs)
    path = thesis_tables(options.output, size, options.seed or [1], given, options.workers, print)
    print(f"tables: {path}")


def _given(options: Namespace) -> Sites | None:
    """Collections and models that were named; None where none was."""
    from mammo_tf.experiments.end2end.experiment import Sites

    named = {name: Path(value) for name in SITES if (value := getattr(options, name)) is not None}
    if not named:
        return None
    missing = [f"--{name.replace('_', '-')}" for name in NEEDED if name not in named]
    if missing:
        remedy = "Name the target's records and both source models, or none of them for the synthetic study"
        raise MammoError("option_wrong", f"{', '.join(missing)} is missing", remedy)
    return Sites(**named)
