"""Commands that put a model to use: `export`, `predict`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.shared import Commands, counted, print_all, tensorflow_loaded, whole_number
from mammo_tf.errors import MammoError

if TYPE_CHECKING:
    from mammo_tf.serving.dicom_exams import DicomReport
    from mammo_tf.serving.predict import PredictReport

SHOWN_REJECTS = 5


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _export_options(
        commands.add("export", "a run's model as a release for TensorFlow Serving and ONNX Runtime", export)
    )
    _predict_options(commands.add("predict", "scores of files, a folder or a manifest", predict))


def _export_options(one: ArgumentParser) -> None:
    one.add_argument("run", metavar="RUN|MODEL", help="run folder or .keras")
    one.add_argument("--name", metavar="N", help="name of the model (default: that of the run folder)")
    one.add_argument("--root", default="saved_models", metavar="DIR", help="where models lie (default saved_models)")
    one.add_argument(
        "--winograd", action=BooleanOptionalAction,
        help="convolutions that a CPU computes faster; leave them out for a server with a GPU (default: where this "
        "machine has none)",
    )  # fmt: skip
    one.add_argument(
        "--data", metavar="MANIFEST|RECORDS",
        help="compare both signatures on its split validation (default: what the run prepared, where it still is)",
    )  # fmt: skip
    one.add_argument("--data-root", metavar="DIR", help="data root of --data (default: the manifest's folder)")
    one.add_argument(
        "--allow-gap", action="store_true",
        help="write serving_default even where more than 2 %% of the validation calls change or the rank correlation "
        "is below 0.98",
    )  # fmt: skip
    one.add_argument("--intended-use", default="", metavar="TEXT", help="what the model is for, for its MODEL_CARD.md")
    one.add_argument(
        "--commercial", action="store_true", help="refuse where the terms of the training data forbid commercial use"
    )
    one.add_argument(
        "--saved-model-only", action="store_true",
        help="no ONNX twin, warm-up requests, bill of materials, nor comparison of Keras, C loader and ONNX Runtime",
    )  # fmt: skip


def export(options: Namespace) -> None:
    """Writes a SavedModel."""
    with tensorflow_loaded():
        from mammo_tf.recipes.start import load_start
        from mammo_tf.serving import export_bundle, release
        from mammo_tf.serving.gap_inputs import pictures_of_run, validation_pictures

    given = Path(options.run)
    if options.data_root and not options.data:
        raise MammoError("option_wrong", "--data-root belongs to --data, and none was named", "Leave it out")
    made = release.page_alone if options.saved_model_only else release.parts
    parts = made(given if given.is_dir() else None, options.intended_use)
    model_file = load_start(given)
    if options.commercial:
        release.check_commercial(model_file.card)
    pictures = validation_pictures(options.data, options.data_root) if options.data else pictures_of_run(given)
    name = options.name or (given.resolve().name if given.is_dir() else given.stem)
    bundle = export_bundle(
        model_file, options.root, name, winograd=options.winograd,
        validation=pictures, allow_gap=options.allow_gap, parts=parts, say=partial(print, file=sys.stderr),
    )  # fmt: skip
    print(bundle)


def _predict_options(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="BUNDLE|MODEL", help="exported model, .keras or run folder")
    one.add_argument("inputs", nargs="+", metavar="FILES|FOLDER|MANIFEST", help="pictures to score")
    one.add_argument(
        "-o", "--output", required=True, metavar="FILE.csv", help="predictions; FILE_rejects.csv lies next to it"
    )
    one.add_argument("--sheet", metavar="FILE.png", help="write a picture sheet")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument("--flips", action="store_true", help="mean over four flips, also if the model does not ask for it")
    one.add_argument("--batch-size", type=whole_number, default=2, metavar="N", help="pictures at once (default 2)")
    one.add_argument("--prevalence", type=float, metavar="P", help="share of positives here, for calibrated models")
    one.add_argument(
        "--dicom-out", metavar="DIR", help="also write the results of each exam as DICOM SR and SEG objects"
    )
    one.add_argument(
        "--secondary-capture", action="store_true",
        help="with --dicom-out: pictures with the result drawn in, for viewers that show neither",
    )  # fmt: skip
    one.add_argument("--no-winograd", action="store_true", help="convolutions as Keras has them (slower on a CPU)")


def predict(options: Namespace) -> None:
    """Scores pictures."""
    with tensorflow_loaded():
        from mammo_tf.serving.dicom_out import DicomOut
        from mammo_tf.serving.predict import predict as predict_images

    if options.secondary_capture and not options.dicom_out:
        raise MammoError("option_wrong", "--secondary-capture belongs to --dicom-out", "Name a folder for the results")
    dicom_out = DicomOut(options.dicom_out, options.secondary_capture) if options.dicom_out else None
    if options.root and not options.inputs[0].lower().endswith(".csv"):
        raise MammoError("option_wrong", "--root belongs to a manifest, and none was named", "Leave --root out")
    report = predict_images(
        options.model, options.inputs, options.output, options.sheet,
        batch_size=options.batch_size, flips=options.flips or None, root=options.root,
        winograd=not options.no_winograd, prevalence=options.prevalence,
        dicom_out=dicom_out,
    )  # fmt: skip
    print_report(report)


def print_report(report: PredictReport) -> None:
    """What became of the files, in the manner of `predict`."""
    print_all(report.warnings)
    if report.passed_over:
        print_all([f"passed over as documents: {', '.join(report.passed_over)}"])
    sheets = "".join(f", sheet {path}" for path in report.sheets)
    images, files = counted(report.images, "image"), counted(report.rejects, "file")
    print(f"{images} in {report.output}, {files} in {report.rejects_path}{sheets}")
    if report.dicom is not None:
        _print_dicom(report.dicom)


def _print_dicom(dicom: DicomReport) -> None:
    print_all(f"no DICOM result: {reject.sentence}" for reject in dicom.rejects[:SHOWN_REJECTS])
    exams, objects = counted(dicom.exams, "exam"), counted(dicom.files, "DICOM object")
    without = f"; {counted(len(dicom.rejects), 'image')} without, in {dicom.rejects_path}" if dicom.rejects else ""
    print(f"{exams}, {objects} in {dicom.folder}{without}")
