"""Commands that run many recipes: `demo`, `tables`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.shared import Commands, process_number, seed_number, tensorflow_loaded, whole_number
from mammo_tf.errors import MammoError

if TYPE_CHECKING:
    from mammo_tf.experiments.end2end.experiment import Sites

SITES = ("target", "start_1", "start_2", "source_1", "source_2", "features")
NEEDED = SITES[:3]
END2END, FFDM_TO_DBT, MLN_NET = "end2end", "ffdm-to-dbt", "mln-net"
ONE_SITE = ("pairs", *SITES)  # options of the thesis alone
PARTS = ("rows", "sources")  # options of MLN-net alone
WRONG = {END2END: ("manifest", "root", *PARTS), FFDM_TO_DBT: (*ONE_SITE, *PARTS), MLN_NET: ONE_SITE}


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _demo_options(
        commands.add(
            "demo", "a synthetic two-site study, adapted and measured, in about ten minutes", demo, resumable=True
        )
    )
    _tables_options(
        commands.add(
            "tables",
            "tables and figures of a paper, on a synthetic study or on data of yours",
            tables,
            resumable=True,
        )
    )


def _demo_options(one: ArgumentParser) -> None:
    one.add_argument("-o", "--output", default="demo", metavar="DIR", help="folder (default demo)")
    one.add_argument("--long", action="store_true", help="more patients and epochs: about an hour")
    one.add_argument("--seed", type=seed_number, default=1, metavar="S", help="of study and training (default 1)")
    one.add_argument("--workers", type=process_number, default=2, metavar="N", help="processes (default 2)")


def demo(options: Namespace) -> None:
    """Runs the demonstration."""
    with tensorflow_loaded():
        from mammo_tf.experiments.demo import demo as run_demo
        from mammo_tf.experiments.demo_recipes import LONG, SHORT

    size = LONG if options.long else SHORT
    run_demo(options.output, size, options.workers, options.seed)


def _tables_options(one: ArgumentParser) -> None:
    one.add_argument(
        "paper", nargs="?", choices=(END2END, FFDM_TO_DBT, MLN_NET), default=END2END, metavar="PAPER",
        help=f"{END2END}: the thesis's tables (default); {FFDM_TO_DBT}: a patch model from mammograms to "
        f"tomosynthesis; {MLN_NET}: clusters of microcalcifications on machines never seen",
    )  # fmt: skip
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="run again there to resume")
    one.add_argument("--seed", type=seed_number, action="append", metavar="N", help="may be repeated (default 1)")
    one.add_argument("--pairs", type=whole_number, metavar="N", help="matched pairs of the synthetic target (191)")
    one.add_argument("--target", metavar="PREPARED", help="records of the target, split by pairs")
    one.add_argument("--start-1", metavar="MODEL", help="source model 1: .keras, published .h5, run folder")
    one.add_argument("--start-2", metavar="MODEL", help="source model 2, the baseline")
    one.add_argument("--source-1", metavar="PREPARED", help="records of source site 1, for its rows in domain")
    one.add_argument("--source-2", metavar="PREPARED", help="records of source site 2, for its rows in domain")
    one.add_argument(
        "--features", metavar="FILE.csv", help="set 34 of the target's images, for the rows with radiomics"
    )
    one.add_argument("--manifest", metavar="FILE.csv", help="of both modalities, of all machines; split")
    one.add_argument("--root", metavar="DIR", help="data root of the manifest (default: its folder)")
    one.add_argument(
        "--rows",
        nargs="+",
        action="extend",
        metavar="ROW",
        help=f"of {MLN_NET}: these alone, as tables.json calls them",
    )
    one.add_argument(
        "--sources", nargs="+", action="extend", metavar="MACHINE", help=f"of {MLN_NET}: train on these alone"
    )
    one.add_argument("--smoke", action="store_true", help="the whole road in some minutes, with numbers worth nothing")
    one.add_argument("--workers", type=process_number, default=2, metavar="N", help="processes (default 2)")


def tables(options: Namespace) -> None:
    """Runs a paper's tables on the synthetic study, or on data that are named."""
    named = [name for name in WRONG[options.paper] if getattr(options, name)]
    if named:
        option = f"--{named[0].replace('_', '-')}"
        raise MammoError("option_wrong", f"{option} does not belong to the tables of {options.paper}", "Leave it out")
    {END2END: _end2end, FFDM_TO_DBT: _ffdm_to_dbt, MLN_NET: _mln_net}[options.paper](options)


def _ffdm_to_dbt(options: Namespace) -> None:
    with tensorflow_loaded():
        from mammo_tf.experiments.ffdm_to_dbt.experiment import Given, ffdm_to_dbt
        from mammo_tf.experiments.ffdm_to_dbt.recipes import PAPER, PHANTOM, SMOKE

    given = None
    if options.manifest:
        given = Given(Path(options.manifest), Path(options.root or Path(options.manifest).parent))
    size = SMOKE if options.smoke else PHANTOM if given is None else PAPER
    path = ffdm_to_dbt(options.output, size, options.seed or [1], given, options.workers, print)
    print(f"tables: {path}")


def _mln_net(options: Namespace) -> None:
    with tensorflow_loaded():
        from mammo_tf.experiments.mln_net.experiment import Given, mln_net
        from mammo_tf.experiments.mln_net.rows import EVERY_ROW, ROWS
        from mammo_tf.experiments.mln_net.sizes import PAPER, PHANTOM, SMOKE, SOURCES

    sources = _chosen("--sources", options.sources or SOURCES, SOURCES)
    keys = _chosen("--rows", options.rows or [row.key for row in ROWS], [row.key for row in EVERY_ROW])
    rows = [row for row in EVERY_ROW if row.key in keys]
    given = None
    if options.manifest:
        given = Given(Path(options.manifest), Path(options.root or Path(options.manifest).parent))
    size = SMOKE if options.smoke else PHANTOM if given is None else PAPER
    path = mln_net(options.output, size, options.seed or [1], given, options.workers, print, sources, rows)
    print(f"tables: {path}")


def _chosen(option: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those that are named, in the order of those that are known."""
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise MammoError("option_wrong", f"{option} does not know {unknown!r}", f"Name some of {', '.join(known)}")
    return [name for name in known if name in names]


def _end2end(options: Namespace) -> None:
    with tensorflow_loaded():
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
