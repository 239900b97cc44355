"""Commands of patient models: `features`, `patient-model`, `predict-patient`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import (
    Commands,
    columns_of,
    counted,
    print_all,
    process_number,
    seed_number,
    settings,
    tensorflow_loaded,
    whole_number,
)
from mammo_tf.errors import MammoError

if TYPE_CHECKING:
    from mammo_tf.patients.inputs import PatientInputs

SPLITS = ("train", "validation", "test")


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _features_options(
        commands.add("features", "radiomic features of every image of a manifest", features, resumable=True)
    )
    _patient_model_options(
        commands.add(
            "patient-model", "a score a patient from four view scores, features and age", patient_model, resumable=True
        )
    )
    _predict_patient_options(
        commands.add("predict-patient", "score and decision for one patient: four pictures and an age", predict_patient)
    )


def _features_options(one: ArgumentParser) -> None:
    one.add_argument("manifest", metavar="MANIFEST", help="a table of images")
    one.add_argument("-o", "--output", required=True, metavar="FILE.csv", help="the table; FILE_rejects.csv lies by it")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--set", default="34", metavar="34|32", help="32 needs no pixel size: without fdim and pd (34)")
    one.add_argument(
        "--region", default="breast", metavar="breast|inner", help="inner: eroded by 31x31 pixels (breast)"
    )
    one.add_argument("--cooccurrence", default="2021", metavar="2021|2020", help="the public code's definition (2021)")
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes (default 1)")


def features(options: Namespace) -> None:
    """Computes radiomic features."""
    with held():
        from mammo_tf.radiomics.radiomic_features import Extraction, extract_features
        from mammo_tf.study import read_manifest

    extraction = Extraction(options.set, options.region, cooccurrence=options.cooccurrence)
    root = options.root or Path(options.manifest).parent
    done = extract_features(
        read_manifest(options.manifest), root, options.output, extraction, options.workers, options.manifest
    )
    if done.sought:
        print(f"pectoral muscle taken off in {done.muscles} of {counted(done.sought, 'MLO view')}")
    print_all(done.doubts)
    images, files = counted(len(done.table), "image"), counted(len(done.rejects), "file")
    print(f"{len(extraction.columns)} features of {images} in {done.output}, {files} in {done.rejects_path}")


def _patient_model_options(one: ArgumentParser) -> None:
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="run again there to continue with a search")
    one.add_argument("--table", metavar="TABLE.csv", help="a row a patient, with a column split")
    for split in ("train", "validation", "test"):
        one.add_argument(f"--{split}", metavar="FILE.csv", help=f"a row a patient, those of {split}")
    one.add_argument("--features", metavar="FILE.csv", help="of images, as the command features writes them")
    one.add_argument("--predictions", nargs="+", default=[], metavar="FILE.csv", help="of the same images")
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,patient=...,pair=...",
        help="names in the tables; given several times, in each of them",
    )  # fmt: skip
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    one.add_argument("--search", action="store_true", help="search settings by cross-validation that keeps pairs whole")
    one.add_argument("--grid", metavar="GRID.json", help="what to search (default: the published ranges)")
    one.add_argument("--folds", type=whole_number, default=5, metavar="N", help="of the search (5)")
    one.add_argument(
        "--keep", default="gradient_boosting", metavar="NAME", help="which one is stored: or random_forest"
    )
    one.add_argument("--network", metavar="BUNDLE|RUN", help="copied into the model, so that it scores pictures")
    one.add_argument(
        "--rule", default="g_mean", help="operating point: g_mean, youden, equal_error, sensitivity, specificity, cost"
    )
    one.add_argument("--target", type=float, metavar="SHARE", help="for --rule sensitivity and specificity")
    one.add_argument("--miss-cost", type=float, default=1.0, metavar="C", help="for --rule cost")
    one.add_argument(
        "--prevalence", type=float, metavar="P", help="where the model will work: PPV, NPV, recall rate; --rule cost"
    )
    one.add_argument("--calibration", default="platt", metavar="METHOD", help="platt, isotonic, temperature or none")
    one.add_argument("--replicates", type=whole_number, default=2000, metavar="N", help="bootstrap resamples (2000)")
    one.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of resampling and folds (0)")
    one.add_argument("--stratified", action="store_true", help="resample positive and negative patients apart")
    one.add_argument("--as-run", action="store_true", help="an extra row with the threshold chosen on test")
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes of a search (default 1)")


def patient_model(options: Namespace) -> None:
    """Fits, measures and stores a patient model."""
    with held():
        from mammo_tf.evaluation import OperatingRule, Resampling
        from mammo_tf.patients.model import PatientRequest, fit_patient_model, read_grids, request_settings
        from mammo_tf.patients.rows import comparison_lines, table_lines

    if options.grid and not options.search:
        raise MammoError("option_wrong", "--grid belongs to --search", "Add --search, or leave --grid out")
    request = PatientRequest(
        settings=request_settings(settings(options.set)),
        grids=read_grids(options.grid) if options.search else {},
        folds=options.folds,
        seed=options.seed,
        keep=options.keep,
        rule=OperatingRule(
            options.rule, options.target, options.miss_cost, options.prevalence if options.rule == "cost" else None
        ),
        resampling=Resampling(options.replicates, options.seed, stratified=options.stratified),
        calibration=None if options.calibration == "none" else options.calibration,
        prevalence=options.prevalence,
        as_run=options.as_run,
        workers=options.workers,
    )
    if options.network:
        with tensorflow_loaded():
            from mammo_tf.patients.scoring import store_network
            from mammo_tf.serving import open_scorer
            from mammo_tf.serving.score_source import check_source

        scorer = open_scorer(options.network)  # a wrong one is told before the work
        print_all(check_source(options.predictions or (), options.network, scorer.card))
    found = fit_patient_model(_patient_inputs(options), options.output, request, print)
    print_all(table_lines(found.rows, found.as_run))
    print_all(comparison_lines(found.comparison))
    print_all(found.notes)
    if options.network:
        store_network(found.model, options.network)
    print(f"model: {found.model}")


def _patient_inputs(options: Namespace) -> PatientInputs:
    from mammo_tf.patients.inputs import features_and_predictions, one_table, three_tables

    files = [getattr(options, split) for split in SPLITS]
    ways = [bool(options.table), any(files), bool(options.features or options.predictions)]
    if sum(ways) != 1:
        remedy = "Give --table, or --train --validation --test, or --features and --predictions"
        raise MammoError("option_wrong", f"{'no' if not any(ways) else 'more than one'} source of patients", remedy)
    columns = columns_of(options.columns, max(1, sum(map(bool, files))))
    if options.table:
        return one_table(options.table, columns[0])
    if any(files):
        if not options.train:
            raise MammoError("option_wrong", "there is no --train", "Name the patients to train on")
        return three_tables(files[0], files[1], files[2], columns)
    if not (options.features and options.predictions):
        raise MammoError("option_wrong", "--features and --predictions belong together", "Give both")
    if options.columns:
        raise MammoError("option_wrong", "--columns names columns of a table of patients", "Leave it out")
    return features_and_predictions(options.features, options.predictions)


def _predict_patient_options(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="folder that patient-model --network wrote")
    one.add_argument("files", nargs="+", metavar="FILES|FOLDER|L_CC=FILE", help="views by header, or named")
    one.add_argument("--age", metavar="YEARS", help="of the patient")
    one.add_argument("--spacing", type=float, metavar="MM", help="size of a pixel, where headers do not tell")
    one.add_argument("-o", "--output", metavar="FILE.json", help="write the answer here")
    one.add_argument(
        "--occlusion", metavar="FILE.png",
        help="hide parts of each view in turn and draw where the score rests; some 150 answers of the network",
    )  # fmt: skip


def predict_patient(options: Namespace) -> None:
    """Scores one patient."""
    with tensorflow_loaded():
        from mammo_tf.files import write_json
        from mammo_tf.patients.occlusion import occlusions, write_occlusions
        from mammo_tf.patients.scoring import read_patient, score_read
        from mammo_tf.reporting.sheet import check_sheet_path

    if options.occlusion:
        check_sheet_path(Path(options.occlusion))
    patient = read_patient(options.model, options.files, options.age, spacing_mm=options.spacing)
    found = score_read(patient)
    hidden = occlusions(patient) if options.occlusion else []
    if hidden:
        write_occlusions(options.occlusion, patient, hidden, found.score)
    if options.output:
        parts = {"occlusion": {one.view: one.to_json() for one in hidden}} if hidden else {}
        write_json(options.output, found.to_json() | parts)
    print_all(f"{view}: network score {score:.4f}" for view, score in found.views.items())
    print_all(f"not used: {reject.sentence}" for reject in found.rejects)
    print_all(found.remarks)
    probability = "" if found.probability is None else f", calibrated probability {found.probability:.4f}"
    decision = "no threshold is stored, so no decision"
    if found.threshold is not None:
        decision = f"{'positive' if found.positive else 'negative'} at the threshold {found.threshold:.4f}"
    print(f"score {found.score:.4f}{probability}: {decision}")
