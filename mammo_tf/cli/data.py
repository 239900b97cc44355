"""Commands from files to records: `phantom`, `manifest`, `inspect`, `split`, `prepare`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import (
    Commands,
    counted,
    numbers,
    parsed_pairs,
    print_all,
    process_number,
    seed_number,
    tensorflow_loaded,
    whole_number,
)
from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors

if TYPE_CHECKING:
    import pandas as pd

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
    _histogram_options(commands.add("histogram", "the average grey levels of a domain, to match others to", histogram))


def _phantom_options(one: ArgumentParser) -> None:
    one.add_argument("output", metavar="OUT", help="folder of the study")
    one.add_argument("--patients", type=whole_number, default=20, metavar="N", help="how many (default 20)")
    one.add_argument("--site", action="append", metavar="NAME|FILE.json", help="a machine; may be repeated")
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="another one, other draws (default 0)")
    one.add_argument("--pairs", action="store_true", help="matched case-control pairs")
    one.add_argument("--conspicuous", action="store_true", help="findings that are easy to see, as in the demo")
    one.add_argument("--spacing", type=float, default=0.3, metavar="MM", help="pixel spacing in mm (default 0.3)")
    one.add_argument("--workers", type=process_number, metavar="N", help="processes (default: one a core)")


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
    one.add_argument("--labels", metavar="FILE.csv", help="labels of a folder's files (default: its labels.csv)")
    one.add_argument(
        "--columns", action="append", default=[], metavar="OURS=THEIRS,...",
        help="columns of that table, label=pathology,path=file; may be repeated",
    )  # fmt: skip
    one.add_argument(
        "--values", action="append", default=[], metavar="COLUMN=THEIRS:OURS,...",
        help="words of that table, label=B:benign,M:malignant; may be repeated",
    )  # fmt: skip
    one.add_argument(
        "--reference-standard", metavar="TEXT", default="",
        help="what the labels rest on, kept with the manifest: BI-RADS, pathology, months of follow-up",
    )  # fmt: skip
    one.add_argument(
        "--keep-identifiers", action="store_true", help="identifiers of a folder's files as they are, not hashed"
    )
    one.add_argument(
        "--keep-all", action="store_true",
        help="of a folder every picture, not one an exam, side and view (default: FFDM before one computed from "
        "tomosynthesis before film, processed before raw, the larger matrix, the latest)",
    )  # fmt: skip
    one.add_argument(
        "--for-processing", action="store_true",
        help="of a folder raw pictures too, shown by logarithm and inversion alone (default: they are refused)",
    )  # fmt: skip
    one.add_argument(
        "--accept", action="append", default=[], metavar="CODE,...",
        help="take pictures that a judgement refuses: magnification, implant, ... (docs/refusals.md)",
    )  # fmt: skip


def manifest(options: Namespace) -> None:
    """Lists a collection into manifest.csv and rejects.csv."""
    with held():
        from mammo_tf.claims import LOCK, locked
        from mammo_tf.files import remove_halves
        from mammo_tf.reading.archive_lines import archive_lines, refuse_if_gone
        from mammo_tf.reading.collections import collect, options_of
        from mammo_tf.reading.seen_before import SEEN
        from mammo_tf.study import check_origin_output, read_manifest, write_rejects
        from mammo_tf.study.refusals import checked_codes

    settings = {"labels": options.labels} if options.labels else {}
    settings |= {"keep_identifiers": True} if options.keep_identifiers else {}
    settings |= {name: True for name in ("keep_all", "for_processing") if getattr(options, name)}
    settings |= {"accept": checked_codes(",".join(options.accept).split(","), "--accept")} if options.accept else {}
    settings |= {"columns": parsed_pairs(",".join(options.columns), "--columns")} if options.columns else {}
    settings |= {"values": _parsed_values(options.values)} if options.values else {}
    output = Path(options.output)
    if options.collection == "folder" and not options.keep_identifiers:
        settings["seen_before"] = output / SEEN
    path = output / "manifest.csv"
    check_origin_output(path)
    before = read_manifest(path) if path.exists() else None
    table, rejects = collect(options.collection, options.root, **settings)
    gone = refuse_if_gone(options.root, rejects, before is not None)
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    with locked(output / LOCK, output):
        remove_halves(output, ".*")
        rejected = write_rejects(rejects, output / "rejects.csv", options_of(options.collection))
        if not len(table):
            files, where = counted(rejected, "file"), output / "rejects.csv"
            raise MammoError("nothing_usable", f"none of {files} of {options.root} can be used", f"See {where}")
        remarks = [*_listed(table, path, before, options, settings), *gone]
    if options.collection == "folder":
        remarks += archive_lines(table, rejects, options.root)
    if options.keep_identifiers:
        print(f"identifiers stand in {path} as the archive has them: keep it as safe as the archive")
    print_all(remarks)
    print(f"{counted(len(table), 'image')} in {path}, {counted(rejected, 'file')} in {output / 'rejects.csv'}")


def _listed(
    table: pd.DataFrame, path: Path, before: pd.DataFrame | None, options: Namespace, settings: dict[str, Any]
) -> list[str]:
    """Writes the manifest and where it comes from; what is to be said of it."""
    from mammo_tf.files import digest
    from mammo_tf.reading import doubts
    from mammo_tf.study import Origin, identity_line, with_splits_of, write_manifest, write_origin

    remarks = []
    if before is not None:
        table, kept = with_splits_of(table, before)
        remarks = [f"{kept} from the {path.name} that was there"] if kept else []
    write_manifest(table, path)
    labels = Path(options.labels or Path(options.root) / "labels.csv")
    told = labels.is_file() and options.collection == "folder"
    origin = Origin(
        options.collection, str(Path(options.root).resolve()), str(labels.resolve()) if told else "",
        digest(labels) if told else "", settings.get("columns", {}), settings.get("values", {}),
        options.reference_standard,
    )  # fmt: skip
    write_origin(origin, path)
    found = doubts(text.split("; ") for text in table["warnings"]) if "warnings" in table else []
    terms = sorted({text for text in table["terms"] if text}) if "terms" in table else []
    return [*remarks, *filter(None, [identity_line(table)]), *found, *(f"terms of the data: {text}" for text in terms)]


def _parsed_values(texts: list[str]) -> dict[str, dict[str, str]]:
    """Every `--values COLUMN=THEIRS:OURS,...`; the last colon of a pair counts."""
    values: dict[str, dict[str, str]] = {}
    for text in texts:
        column, equals, pairs = text.partition("=")
        meant = [pair.rpartition(":") for pair in pairs.split(",") if pair]
        if not (column.strip() and equals and meant and all(colon for _, colon, _ in meant)):
            raise MammoError("option_wrong", f"--values {text!r} is not COLUMN=THEIRS:OURS,...")
        known = values.setdefault(column.strip(), {})
        for theirs, _, ours in meant:
            if theirs.strip() in known:
                sentence = f"--values gives {theirs.strip()!r} of {column.strip()} two meanings"
                raise MammoError("option_wrong", sentence, "Leave one of them out")
            known[theirs.strip()] = ours.strip()
    return values


def _inspect_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--sheet", metavar="FILE.png", help="write a picture sheet")
    one.add_argument(
        "--report", metavar="FILE.html",
        help="look at every picture: tags and grey levels by machine, copies between splits, doubts, as a page",
    )  # fmt: skip
    one.add_argument("--workers", type=process_number, default=2, metavar="N", help="processes that look (default 2)")


def inspect(options: Namespace) -> None:
    """Counts a manifest, draws its sheet, looks at its pictures, refuses leakage."""
    with held():
        from mammo_tf.study import check_leakage, count_table, identity_line, read_manifest, read_origin

    table, root = read_manifest(options.manifest), Path(options.root or Path(options.manifest).parent)
    print_all(count_table(table))
    origin = read_origin(options.manifest)
    notes = [*(origin.lines() if origin else ()), *filter(None, [identity_line(table)])]
    print_all(notes)
    if options.sheet:
        with held():
            from mammo_tf.reporting.manifest_sheet import manifest_sheet

        manifest_sheet(table, root, options.sheet)
        print(f"sheet: {options.sheet}")
    if not options.report:
        check_leakage(table)
        return
    with held():
        from mammo_tf.reporting.inspection_page import inspect_into

    found = inspect_into(options.report, table, options.manifest, root, options.workers, notes)
    print_all([*found.lines(), f"report: {options.report}"])
    check_leakage(table)
    found.check_copies()


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
        from mammo_tf.claims import locked
        from mammo_tf.study import (
            assign_splits,
            count_table,
            identity_line,
            read_manifest,
            read_origin,
            write_manifest,
            write_origin,
        )  # fmt: skip

    fractions = numbers(options.fractions, ",", 3, "--fractions")
    columns = [column for column in options.stratify.split(",") if column]
    output = Path(options.output or options.manifest)
    with locked(output.with_name(f".{output.name}.lock"), output):
        before = read_manifest(options.manifest)
        doubt = identity_line(before)
        try:
            table = assign_splits(before, fractions, columns, options.pairs, options.seed)
        except MammoError as error:
            if error.code != "too_few_patients" or not doubt:
                raise
            raise MammoError(error.code, f"{error.sentence}; {doubt}") from error
        write_manifest(table, output)
        origin = read_origin(options.manifest)
        if origin is not None and output != Path(options.manifest):
            write_origin(origin, output)
    print_all(count_table(table)[:6])
    print_all(filter(None, [doubt]))


def _prepare_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the records")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--preset", default="default", metavar="NAME", help="default (default), graph, legacy or native")
    one.add_argument("--size", default="1152x896", metavar="ROWSxCOLUMNS", help="in pixels (default 1152x896)")
    one.add_argument(
        "--projection", choices=("mip", "slab", "slice"), default="mip",
        help="of a volume: the maximum over all frames, over each slab, or each slice a picture (default mip)",
    )  # fmt: skip
    one.add_argument("--slab-slices", type=whole_number, metavar="N", help="slices of a slab")
    one.add_argument("--slab-mm", type=float, metavar="MM", help="thickness of a slab in mm, in place of --slab-slices")
    one.add_argument(
        "--tile", type=whole_number, metavar="PIXELS", help="store pictures in tiles, so that patches are quick to read"
    )
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes (default 1)")
    one.add_argument(
        "--beam", metavar="OPTIONS", help="make shards by Apache Beam, told its options: --beam='--runner=NAME ...'"
    )


def prepare(options: Namespace) -> None:
    """Writes records."""
    with tensorflow_loaded():
        from mammo_tf.imaging import Preprocessing
        from mammo_tf.records import prepare as prepare_records
        from mammo_tf.records.object_storage import is_address, local, place_of, send
        from mammo_tf.records.on_beam import on_beam
        from mammo_tf.study import Projection, read_manifest

    projection = Projection(options.projection, options.slab_slices, options.slab_mm)
    rows, columns = (int(value) for value in numbers(options.size, "x", 2, "--size"))
    if f"{rows}x{columns}" != options.size.lower() or not 16 <= min(rows, columns) <= max(rows, columns) <= LARGEST:
        raise MammoError("option_wrong", f"--size {options.size!r} is not ROWSxCOLUMNS, each from 16 to {LARGEST}")
    make = None if options.beam is None else on_beam(options.beam)
    if is_address(options.manifest) and not options.root:
        raise MammoError(
            "root_missing", f"{options.manifest} is not next to its files", "Name their folder with --root"
        )
    table = read_manifest(local(options.manifest))
    root = options.root or Path(options.manifest).parent
    output = place_of(options.output) if is_address(options.output) else options.output
    preprocessing = replace(Preprocessing.preset(options.preset, (rows, columns)), projection=projection)
    done = prepare_records(table, root, output, preprocessing, options.workers, tile=options.tile, make=make)
    if is_address(options.output):
        send(output, options.output)
    print_all(done.remarks)
    rejected = f", {len(done.rejects)} rejected ({Path(output) / 'rejects.csv'})" if done.rejects else ""
    print(f"{counted(done.images, 'image')} of {rows}x{columns} pixels in {options.output}{rejected}")


def _histogram_options(one: ArgumentParser) -> None:
    one.add_argument("records", metavar="PREPARED", help="folder of records")
    one.add_argument("-o", "--output", required=True, metavar="FILE.json", help="the histogram")
    one.add_argument(
        "--images", type=whole_number, metavar="N",
        help="training images at most, in equal parts of normal, benign, malignant (default: all, labelled or not)",
    )  # fmt: skip
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="of the drawing (default 0)")
    one.add_argument(
        "--pixels", choices=("breast", "not-black", "all"), default="breast", help="which count (default breast)"
    )
    one.add_argument("--weight", choices=("image", "pixel"), default="image", help="what counts alike (default image)")
    one.add_argument("--levels", type=whole_number, default=4096, metavar="N", help="grey levels (default 4096)")
    one.add_argument("--name", default="", metavar="TEXT", help="of the domain, for readers")


def histogram(options: Namespace) -> None:
    """Writes the average histogram of a domain."""
    with tensorflow_loaded():
        from mammo_tf.records import open_records
        from mammo_tf.records.domain_statistics import records_histogram, shortage

    output = Path(options.output)
    if output.suffix != ".json":
        raise MammoError("option_wrong", f"-o {options.output!r} does not end in .json", "Name a .json file")
    records = open_records(options.records)
    found = records_histogram(
        records, options.images, options.seed, options.pixels.replace("-", " "), options.weight, options.name,
        options.levels,
    )  # fmt: skip
    found.save(output)
    print_all(shortage(records, options.images) if options.images else ())
    parts = ", ".join(f"{count} {label}" for label, count in found.labels.items())
    print(f"{output}: {counted(found.images, 'image')}{f' ({parts})' if parts else ''}, {found.levels} levels")
