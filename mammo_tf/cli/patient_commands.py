"""What the commands of patient models call and print: `features`, `patient-model`, `predict-patient`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.commands import _counted, _parsed_pairs, _print_all, _tensorflow_loaded
from mammo_tf.cli.interrupts import held
from mammo_tf.errors import MammoError

if TYPE_CHECKING:
    from mammo_tf.patients.inputs import PatientInputs

SPLITS = ("train", "validation", "test")


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
        print(f"pectoral muscle taken off in {done.muscles} of {_counted(done.sought, 'MLO view')}")
    images, files = _counted(len(done.table), "image"), _counted(len(done.rejects), "file")
    print(f"{len(extraction.columns)} features of {images} in {done.output}, {files} in {done.rejects_path}")


def patient_model(options: Namespace) -> None:
    """Fits, measures and stores a patient model."""
    with held():
        from mammo_tf.evaluation import OperatingRule, Resampling
        from mammo_tf.patients.model import PatientRequest, fit_patient_model, read_grids, request_settings
        from mammo_tf.patients.rows import comparison_lines, table_lines

    if options.grid and not options.search:
        raise MammoError("option_wrong", "--grid belongs to --search", "Add --search, or leave --grid out")
    wrong = [setting for setting in options.set if "=" not in setting]
    if wrong:
        raise MammoError("option_wrong", f"--set {wrong[0]!r} is not KEY=VALUE")
    settings = [setting.partition("=") for setting in options.set]
    request = PatientRequest(
        settings=request_settings([(name.strip(), value.strip()) for name, _, value in settings]),
        grids=read_grids(options.grid) if options.search else {},
        folds=options.folds,
        seed=options.seed,
        keep=options.keep,
        rule=OperatingRule(options.rule, options.target, options.miss_cost, options.prevalence),
        resampling=Resampling(options.replicates, options.seed, stratified=options.stratified),
        calibration=None if options.calibration == "none" else options.calibration,
        as_run=options.as_run,
        workers=options.workers,
    )
    if options.network:
        with _tensorflow_loaded():
            from mammo_tf.patients.scoring import store_network
            from mammo_tf.serving import open_scorer
            from mammo_tf.serving.score_source import check_source

        scorer = open_scorer(options.network)  # a wrong one is told before the work
        _print_all(check_source(options.predictions or (), options.network, scorer.card))
    found = fit_patient_model(_patient_inputs(options), options.output, request, print)
    _print_all(table_lines(found.rows, found.as_run))
    _print_all(comparison_lines(found.comparison))
    _print_all(found.notes)
    if options.network:
        store_network(found.model, options.network)
    print(f"model: {found.model}")


def _patient_inputs(options: Namespace) -> PatientInputs:
    from mammo_tf.patients.inputs import features_and_predictions, one_table, three_tables

    columns = _parsed_pairs(options.columns, "--columns")
    files = [getattr(options, split) for split in SPLITS]
    ways = [bool(options.table), any(files), bool(options.features or options.predictions)]
    if sum(ways) != 1:
        remedy = "Give --table, or --train --validation --test, or --features and --predictions"
        raise MammoError("option_wrong", f"{'no' if not any(ways) else 'more than one'} source of patients", remedy)
    if options.table:
        return one_table(options.table, columns)
    if any(files):
        if not options.train:
            raise MammoError("option_wrong", "there is no --train", "Name the patients to train on")
        return three_tables(files[0], files[1], files[2], columns)
    if not (options.features and options.predictions):
        raise MammoError("option_wrong", "--features and --predictions belong together", "Give both")
    if columns:
        raise MammoError("option_wrong", "--columns names columns of a table of patients", "Leave it out")
    return features_and_predictions(options.features, options.predictions)


def predict_patient(options: Namespace) -> None:
    """Scores one patient."""
    with _tensorflow_loaded():
        from mammo_tf.files import write_json
        from mammo_tf.patients.scoring import score_patient

    found = score_patient(options.model, options.files, options.age, spacing_mm=options.spacing)
    if options.output:
        write_json(options.output, found.to_json())
    _print_all(f"{view}: network score {score:.4f}" for view, score in found.views.items())
    _print_all(f"not used: {reject.sentence}" for reject in found.rejects)
    _print_all(found.remarks)
    probability = "" if found.probability is None else f", calibrated probability {found.probability:.4f}"
    decision = "no threshold is stored, so no decision"
    if found.threshold is not None:
        decision = f"{'positive' if found.positive else 'negative'} at the threshold {found.threshold:.4f}"
    print(f"score {found.score:.4f}{probability}: {decision}")
