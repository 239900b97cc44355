"""The front door: parses, calls, prints. Rooms are imported by the command that needs them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from mammo_tf.cli.interrupts import noticed
from mammo_tf.errors import MammoError

BAD_INPUT, INTERRUPTED = 2, 130
# what is finished in their folder is used again
RESUMABLE = ("phantom", "prepare", "run", "demo", "features", "patient-model", "tables")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse says NoReturn: exit ends the program
        self.exit(BAD_INPUT, f"mammo-tf: {message}. See {self.prog} --help\n")


def _whole_number(text: str) -> int:
    """A whole number from 1 on; argparse turns the error into one line."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return number


def _seed(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports no heavy library."""
    top = _Parser(
        prog="mammo-tf",
        description="Take a mammography model to a new hospital, machine or modality, and prove that it works there.",
        epilog="A first look: mammo-tf demo -o demo",
    )
    commands = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
        made.set_defaults(function=name.replace("-", "_"))
        return made

    _data_commands(command)
    _model_commands(command)
    _measuring_commands(command)
    _patient_commands(command)
    _table_commands(command)

    one = command("doctor", "versions, devices, and what to mend")
    one.set_defaults(function="doctor")
    return top


def _data_commands(command: object) -> None:
    assert callable(command)
    one = command("phantom", "a synthetic study as DICOM, with truth and manifest")
    one.add_argument("output", metavar="OUT", help="folder of the study")
    one.add_argument("--patients", type=_whole_number, default=20, metavar="N", help="how many (default 20)")
    one.add_argument("--site", action="append", metavar="NAME|FILE.json", help="a machine; may be repeated")
    one.add_argument("--seed", type=int, default=0, metavar="S")
    one.add_argument("--pairs", action="store_true", help="matched case-control pairs")
    one.add_argument("--conspicuous", action="store_true", help="findings that are easy to see, as in the demo")
    one.add_argument("--spacing", type=float, default=0.3, metavar="MM", help="pixel spacing in mm (default 0.3)")
    one.add_argument("--workers", type=_whole_number, metavar="N", help="processes (default: one a core)")

    one = command("manifest", "list a collection: manifest.csv and rejects.csv")
    one.add_argument("collection", metavar="COLLECTION", help="folder, mini-mias, ...")
    one.add_argument("root", metavar="ROOT", help="where its files lie")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="where the two tables go")
    one.add_argument("--labels", metavar="FILE.csv", help="labels of a folder's files")
    one.add_argument(
        "--keep-identifiers", action="store_true", help="identifiers of a folder's files as they are, not hashed"
    )

    one = command("inspect", "counts, a picture sheet, and leakage between splits")
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--sheet", metavar="FILE.png", help="write a picture sheet")

    one = command("split", "fill the column split, by patient")
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("--fractions", default="70,10,20", metavar="A,B,C", help="train, validation, test (70,10,20)")
    one.add_argument("--stratify", default="", metavar="COLUMNS", help="such as age,label")
    one.add_argument("--pairs", action="store_true", help="keep matched pairs together")
    one.add_argument("--seed", type=int, default=0, metavar="S")
    one.add_argument("-o", "--output", metavar="FILE", help="write here (default: the manifest itself)")

    one = command("prepare", "read, crop and resize every image into records")
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the records")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--preset", default="default", help="default or legacy")
    one.add_argument("--size", default="1152x896", metavar="ROWSxCOLUMNS")
    one.add_argument("--workers", type=_whole_number, default=1, metavar="N", help="processes (default 1)")


def _model_commands(command: object) -> None:
    assert callable(command)
    one = command("run", "run a recipe into a run folder; run again to go on where it stopped")
    one.add_argument("recipe", metavar="RECIPE.py")
    one.add_argument("--data", metavar="DIR|MANIFEST", help="records, or a manifest to prepare")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument("--start", metavar="MODEL", help="model to start from: .keras, published .h5, run folder")
    one.add_argument("-o", "--output", metavar="RUN", help="run folder (default runs/<name>)")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; may be repeated")
    one.add_argument("--variant", default="recipe", help="another function of the file, such as as-run")
    one.add_argument("--smoke", action="store_true", help="the same in about twenty seconds on synthetic data")
    one.add_argument("--workers", type=_whole_number, default=1, metavar="N", help="processes that prepare a manifest")
    one.add_argument("--overwrite", action="store_true", help="remove another recipe's run from the folder")

    one = command("export", "a run's model as a SavedModel for TensorFlow Serving")
    one.add_argument("run", metavar="RUN|MODEL")
    one.add_argument("--name", metavar="N", help="name of the model (default: that of the run folder)")
    one.add_argument("--root", default="saved_models", metavar="DIR", help="where models lie (default saved_models)")

    one = command("predict", "scores of files, a folder or a manifest")
    one.add_argument("model", metavar="BUNDLE|MODEL")
    one.add_argument("inputs", nargs="+", metavar="FILES|FOLDER|MANIFEST")
    one.add_argument("-o", "--output", required=True, metavar="FILE.csv", help="predictions; rejects.csv lies beside")
    one.add_argument("--sheet", metavar="FILE.png", help="write a picture sheet")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument("--flips", action="store_true", help="mean over four flips, also if the model does not ask for it")
    one.add_argument("--batch-size", type=_whole_number, default=2, metavar="N", help="pictures at once (default 2)")
    one.add_argument("--prevalence", type=float, metavar="P", help="share of positives here, for calibrated models")
    one.add_argument("--no-winograd", action="store_true", help="convolutions as Keras has them (slower on a CPU)")

    one = command("import-legacy", "a published Keras 2 .h5 file to .keras; nothing in it is executed")
    one.add_argument("file", metavar="FILE.h5")
    one.add_argument("-o", "--output", required=True, metavar="FILE.keras")
    one.add_argument("--mean", type=float, default=52.18, help="what the model's training subtracted (52.18: DDSM)")

    one = command("report", "the HTML report of a run")
    one.add_argument("run", metavar="RUN")

    one = command("demo", "a synthetic two-site study, adapted and measured, in about ten minutes")
    one.add_argument("-o", "--output", default="demo", metavar="DIR", help="folder (default demo)")
    one.add_argument("--long", action="store_true", help="more patients and epochs: about an hour")
    one.add_argument("--seed", type=int, default=1, metavar="S")
    one.add_argument("--workers", type=_whole_number, default=2, metavar="N")


def _measuring_commands(command: object) -> None:
    assert callable(command)
    one = command("evaluate", "anyone's predictions: metrics, and a paired comparison of two files")
    one.add_argument("predictions", metavar="FILE.csv")
    one.add_argument("other", nargs="?", metavar="OTHER.csv", help="compared: OTHER minus FILE")
    one.add_argument("--columns", default="", metavar="label=...,score=...,patient=...", help="names in the files")
    one.add_argument("--join", default="image_id", metavar="COLUMN", help="what tells which rows belong together")
    one.add_argument("--replicates", type=_whole_number, default=2000, metavar="N", help="bootstrap resamples (2000)")
    one.add_argument("-o", "--output", metavar="DIR", help="write metrics, comparison and figures here")
    one.add_argument("--by", default="", metavar="COLUMN,...", help="subgroups: density, manufacturer, age, any column")
    one.add_argument("--rule", default="g_mean", help="operating point: g_mean, youden, sensitivity, specificity, cost")
    one.add_argument("--target", type=float, metavar="SHARE", help="for --rule sensitivity and specificity")
    one.add_argument(
        "--miss-cost", type=float, default=1.0, metavar="C", help="for --rule cost: a miss in false alarms"
    )
    one.add_argument("--prevalence", type=float, metavar="P", help="for --rule cost: where the model will work")
    one.add_argument("--calibrate", metavar="METHOD", help="fitted on validation: platt, isotonic, temperature")
    one.add_argument("--validation", metavar="FILE.csv", help="validation predictions of FILE's model, if apart")
    one.add_argument("--threshold-split", default="validation", metavar="SPLIT", help="where it is chosen, never test")
    one.add_argument("--interval", default="percentile", metavar="METHOD", help="bootstrap: percentile or bca")
    one.add_argument("--stratified", action="store_true", help="resample positive and negative patients apart")
    one.add_argument("--images-too", action="store_true", help="the interval that resamples images beside each")
    one.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the resampling (0)")
    one.add_argument("--breast", default="mean", metavar="HOW", help="views to breast: mean, maximum, noisy_or")
    one.add_argument("--patient", default="maximum", metavar="HOW", help="breasts to patient: mean, maximum, noisy_or")
    one.add_argument("--exam", metavar="HOW", help="measure exams too; breasts to exam: mean, maximum, noisy_or")

    one = command("ensemble", "predictions of several models of the same images as those of one")
    one.add_argument("predictions", nargs="+", metavar="FILE.csv")
    one.add_argument("-o", "--output", required=True, metavar="FILE.csv")
    one.add_argument("--rule", default="mean", help="mean (default), mean_logit, mean_rank, maximum")
    one.add_argument("--columns", default="", metavar="label=...,score=...", help="names in the files")
    one.add_argument("--join", default="image_id", metavar="COLUMN", help="what tells which rows belong together")

    one = command("sample-size", "how many patients an interval of a wanted width takes")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--auc", type=float, metavar="A", help="the AUC that is expected")
    what.add_argument("--sensitivity", type=float, metavar="S", help="the sensitivity that is expected")
    what.add_argument("--specificity", type=float, metavar="S", help="the specificity that is expected")
    one.add_argument("--width", type=float, required=True, metavar="W", help="of the 95 %% interval, high minus low")
    one.add_argument("--prevalence", type=float, default=0.5, metavar="P", help="share of positive patients (0.5)")


def _table_commands(command: object) -> None:
    assert callable(command)
    one = command("tables", "the thesis's tables and loss curves, on a synthetic study or on collections of yours")
    one.set_defaults(module="table_commands")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="run again there to go on")
    one.add_argument("--seed", type=_seed, action="append", metavar="N", help="may be repeated (default 1)")
    one.add_argument("--pairs", type=_whole_number, metavar="N", help="matched pairs of the synthetic target (191)")
    one.add_argument("--target", metavar="PREPARED", help="records of the target, split by pairs")
    one.add_argument("--start-1", metavar="MODEL", help="source model 1: .keras, published .h5, run folder")
    one.add_argument("--start-2", metavar="MODEL", help="source model 2, the baseline")
    one.add_argument("--source-1", metavar="PREPARED", help="records of source site 1, for its rows in domain")
    one.add_argument("--source-2", metavar="PREPARED", help="records of source site 2, for its rows in domain")
    one.add_argument(
        "--features", metavar="FILE.csv", help="set 34 of the target's images, for the rows with radiomics"
    )
    one.add_argument("--smoke", action="store_true", help="the whole road in some minutes, with numbers worth nothing")
    one.add_argument("--workers", type=_whole_number, default=2, metavar="N", help="processes (default 2)")


def _patient_commands(command: object) -> None:
    assert callable(command)
    one = command("features", "radiomic features of every image of a manifest")
    one.set_defaults(module="patient_commands")
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("-o", "--output", required=True, metavar="FILE.csv", help="rejects.csv lies beside")
    one.add_argument("--root", metavar="DIR", help="data root (default: the manifest's folder)")
    one.add_argument("--set", default="34", metavar="34|32", help="32 needs no pixel size: without fdim and pd (34)")
    one.add_argument(
        "--region", default="breast", metavar="breast|inner", help="inner: eroded by 31x31 pixels (breast)"
    )
    one.add_argument("--cooccurrence", default="2021", metavar="2021|2020", help="the public code's definition (2021)")
    one.add_argument("--workers", type=_whole_number, default=1, metavar="N", help="processes (default 1)")

    one = command("patient-model", "a score a patient from four view scores, features and age")
    one.set_defaults(module="patient_commands")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="run again there to go on with a search")
    one.add_argument("--table", metavar="TABLE.csv", help="a row a patient, with a column split")
    for split in ("train", "validation", "test"):
        one.add_argument(f"--{split}", metavar="FILE.csv", help=f"a row a patient, those of {split}")
    one.add_argument("--features", metavar="FILE.csv", help="of images, as the command features writes them")
    one.add_argument("--predictions", nargs="+", default=[], metavar="FILE.csv", help="of the same images")
    one.add_argument("--columns", default="", metavar="label=...,patient=...,pair=...", help="names in the tables")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    one.add_argument("--search", action="store_true", help="search settings by cross-validation that keeps pairs whole")
    one.add_argument("--grid", metavar="GRID.json", help="what to search (default: the published ranges)")
    one.add_argument("--folds", type=_whole_number, default=5, metavar="N", help="of the search (5)")
    one.add_argument(
        "--keep", default="gradient_boosting", metavar="NAME", help="which one is stored: or random_forest"
    )
    one.add_argument("--network", metavar="BUNDLE|RUN", help="copied into the model, so that it scores pictures")
    one.add_argument("--rule", default="g_mean", help="operating point: g_mean, youden, sensitivity, specificity, cost")
    one.add_argument("--target", type=float, metavar="SHARE", help="for --rule sensitivity and specificity")
    one.add_argument("--miss-cost", type=float, default=1.0, metavar="C", help="for --rule cost")
    one.add_argument("--prevalence", type=float, metavar="P", help="for --rule cost: where the model will work")
    one.add_argument("--calibration", default="platt", metavar="METHOD", help="platt, isotonic, temperature or none")
    one.add_argument("--replicates", type=_whole_number, default=2000, metavar="N", help="bootstrap resamples (2000)")
    one.add_argument("--seed", type=_seed, default=0, metavar="N", help="of resampling and folds (0)")
    one.add_argument("--stratified", action="store_true", help="resample positive and negative patients apart")
    one.add_argument("--as-run", action="store_true", help="an extra row with the threshold chosen on test")
    one.add_argument("--workers", type=_whole_number, default=1, metavar="N", help="processes of a search (default 1)")

    one = command("predict-patient", "score and decision for one patient: four pictures and an age")
    one.set_defaults(module="patient_commands")
    one.add_argument("model", metavar="MODEL", help="folder that patient-model --network wrote")
    one.add_argument("files", nargs="+", metavar="FILES|FOLDER|L_CC=FILE", help="views by header, or named")
    one.add_argument("--age", metavar="YEARS", help="of the patient")
    one.add_argument("--spacing", type=float, metavar="MM", help="size of a pixel, where headers do not tell")
    one.add_argument("-o", "--output", metavar="FILE.json", help="write the answer here")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 for bad input (one line on standard error), 130 on Ctrl-C."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with noticed():
            commands = importlib.import_module(f"mammo_tf.cli.{getattr(options, 'module', 'commands')}")
            code = getattr(commands, options.function)(options)
            sys.stdout.flush()
    except MammoError as error:
        print(f"mammo-tf: {error}", file=sys.stderr)
        return BAD_INPUT
    except PermissionError as error:
        print(f"mammo-tf: {error.filename} may not be read or written: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        again = (
            "run the same command again to go on" if options.command in RESUMABLE else "the same command starts over"
        )
        print(f"mammo-tf: stopped; {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
