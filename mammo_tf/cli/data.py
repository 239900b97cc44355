"""Commands from files to records: `phantom`, `manifest`, `inspect`, `split`, `prepare`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import Commands, counted, numbers, print_all, seed_number, tensorflow_loaded, whole_number
from mammo_tf.errors import MammoError

LARGEST = 20000  # pixels along a side


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _phantom_options(
        commands.add("phantom", "a synthetic study as DICOM, with truth and manifest", phantom, resumable=True)
    )
    _manifest_options(commands.add("manifest", "list a collection: manifest.csv and rejects.csv", manifest))
    _inspect_options(commands.add("inspect", "counts, a picture sheet, and leakage between splits", inspect))
    _split_options(commands.add("split", "fill the column split, by patient", split))
    _prepare_options(commands.add("prepare", "read, crop and resize every image into records", prepare, resumable=True))


def _phantom_options(one: ArgumentParser) -> None:
    one.add_argument("output", metavar="OUT", help="folder of the study")
    one.add_argument("--patients", type=whole_number, default=20, metavar="N", help="how many (default 20)")
    one.add_argument("--site", action="append", metavar="NAME|FILE.json", help="a machine; may be repeated")
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="another one, other draws (default 0)")
    one.add_argument("--pairs", action="store_true", help="matched case-control pairs")
    one.add_argument("--conspicuous", action="store_true", help="findings that are easy to see, as in the demo")
    one.add_argument("--spacing", type=float, default=0.3, metavar="MM", help="pixel spacing in mm (default 0.3)")
    one.add_argument("--workers", type=whole_number, metavar="N", help="processes (default: one a core)")


def phantom(options: Namespace) -> None:
    """Makes a synthetic study."""
    with held():
        from mammo_tf.phantom import CONSPICUOUS, DEFAULT_CONSPICUITY, make_study

    table = make_study(
        options.output, options.patients, options.site or ["ffdm_site_1"], options.seed, options.spacing,
        pairs=options.pairs, conspicuity=CONSPICUOUS if options.conspicuous else DEFAULT_CONSPICUITY,
        workers=options.workers,
    )  # fmt: skip
    patients = counted(table["patient_id"].nunique(), "patient")
    print(f"{counted(len(table), 'image')} of {patients}; {Path(options.output) / 'manifest.csv'}")


def _manifest_options(one: ArgumentParser) -> None:
    one.add_argument("collection", metavar="COLLECTION", help="folder, mini-mias, ...")
    one.add_argument("root", metavar="ROOT", help="where its files lie")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="where the two tables go")
    one.add_argument("--labels", metavar="FILE.csv", help="labels of a folder's files")
    one.add_argument(
        "--keep-identifiers", action="store_true", help="identifiers of a folder's files as they are, not hashed"
    )


def manifest(options: Namespace) -> None:
    """Lists a collection into manifest.csv and rejects.csv."""
    with held():
        from mammo_tf.reading.collections import collect
        from mammo_tf.study import write_manifest, write_rejects

    settings = {"labels": options.labels} if options.labels else {}
    settings |= {"keep_identifiers": True} if options.keep_identifiers else {}
    table, rejects = collect(options.collection, options.root, **settings)
    output = Path(options.output)
    rejected = write_rejects(rejects, output / "rejects.csv")
    if not len(table):
        where = output / "rejects.csv"
        files = counted(rejected, "file")
        raise MammoError("nothing_usable", f"none of {files} of {options.root} can be used", f"See {where}")
    write_manifest(table, output / "manifest.csv")
    if options.keep_identifiers:
        print(f"identifiers stand in {output / 'manifest.csv'} as the archive has them: keep it as safe as the archive")
    images, files = counted(len(table), "image"), counted(rejected, "file")
    print(f"{images} in {output / 'manifest.csv'}, {files} in {output / 'rejects.csv'}")


def _inspect_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--sheet", metavar="FILE.png", help="write a picture sheet")


def inspect(options: Namespace) -> None:
    """Counts a manifest, draws its sheet, refuses leakage."""
    with held():
        from mammo_tf.study import check_leakage, count_table, read_manifest

    table = read_manifest(options.manifest)
    print_all(count_table(table))
    if options.sheet:
        with held():
            from mammo_tf.reporting.manifest_sheet import manifest_sheet

        manifest_sheet(table, Path(options.root or Path(options.manifest).parent), options.sheet)
        print(f"sheet: {options.sheet}")
    check_leakage(table)


def _split_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("--fractions", default="70,10,20", metavar="A,B,C", help="train, validation, test (70,10,20)")
    one.add_argument("--stratify", default="", metavar="COLUMNS", help="such as age,label")
    one.add_argument("--pairs", action="store_true", help="keep matched pairs together")
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="another one, other draws (default 0)")
    one.add_argument("-o", "--output", metavar="FILE", help="write here (default: the manifest itself)")


def split(options: Namespace) -> None:
    """Fills the column split."""
    with held():
        from mammo_tf.study import assign_splits, count_table, read_manifest, write_manifest

    fractions = numbers(options.fractions, ",", 3, "--fractions")
    columns = [column for column in options.stratify.split(",") if column]
    table = assign_splits(read_manifest(options.manifest), fractions, columns, options.pairs, options.seed)
    write_manifest(table, options.output or options.manifest)
    print_all(count_table(table)[:6])


def _prepare_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the records")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--preset", default="default", metavar="NAME", help="default (default), graph or legacy")
    one.add_argument("--size", default="1152x896", metavar="ROWSxCOLUMNS", help="in pixels (default 1152x896)")
    one.add_argument("--workers", type=whole_number, default=1, metavar="N", help="processes (default 1)")


def prepare(options: Namespace) -> None:
    """Writes records."""
    with tensorflow_loaded():
        from mammo_tf.imaging import Preprocessing
        from mammo_tf.records import prepare as prepare_records
        from mammo_tf.study import read_manifest

    rows, columns = (int(value) for value in numbers(options.size, "x", 2, "--size"))
    if f"{rows}x{columns}" != options.size.lower() or not 16 <= min(rows, columns) <= max(rows, columns) <= LARGEST:
        raise MammoError("option_wrong", f"--size {options.size!r} is not ROWSxCOLUMNS, each from 16 to {LARGEST}")
    table = read_manifest(options.manifest)
    root = options.root or Path(options.manifest).parent
    preprocessing = Preprocessing.preset(options.preset, (rows, columns))
    done = prepare_records(table, root, options.output, preprocessing, options.workers)
    rejected = f", {len(done.rejects)} rejected ({Path(options.output) / 'rejects.csv'})" if done.rejects else ""
    print(f"{counted(done.images, 'image')} of {rows}x{columns} pixels in {options.output}{rejected}")
