"""Which differences of the thesis survive, on the scores its authors published (method C).

    python benchmarks/published_scores.py FOLDER -o OUT

FOLDER is a copy of their public repository (luiisfer96/tesis-breast-cancer-detection; it states no licence, so nothing
of it stands here). Three prediction files are written, which `mammo-tf evaluate` reads: model 1, configurations 1 and 2
on 312 test images of 78 patients. The configurations' files name no image: their rows stand in the order in which a
folder iterator reads class 0, then class 1, names sorted as text. That this is so is checked: within each class their
scores must go with model 1's of the same image more than with its neighbours'. docs/results/published_scores.md has the
answer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.comparison import compare
from mammo_tf.evaluation.intervals import Resampling
from mammo_tf.evaluation.metrics import compute_metrics
from mammo_tf.evaluation.number_text import TABLE, TABLE_DIFFERENCE, Form, number_text
from mammo_tf.evaluation.numbers import Number
from mammo_tf.evaluation.predictions import write_predictions

NAMES = "INFERENCE/RESULTS/Inference_Private_Database/predictions_inbreast_vgg16_512x1.h5_TEST_TAMPERE.csv"
PATIENTS = "RADIOMIC_ANALISIS/RESULTS/LABELS_TEST.csv"
# Folder and configuration carry each other's number: 0.802 is the thesis's configuration 1 and lies in `2nd_config`.
CONFIGURATIONS = {
    "configuration_1": "TRANSFER_LEARNING/2nd_config/RESULTS/preds_test.csv",
    "configuration_2": "TRANSFER_LEARNING/1st_config/RESULTS/preds_test.csv",
}
IMAGE = r"(?P<number>\d+)(?P<group>ca|co)_\d+_(?P<laterality>[LR])_(?P<view>CC|MLO)"
PAIRS_COMPARED = (
    ("model_1", "configuration_1"),
    ("model_1", "configuration_2"),
    ("configuration_1", "configuration_2"),
)


def _read(folder: Path, name: str) -> pd.DataFrame:
    if not (folder / name).is_file():
        raise MammoError("file_missing", f"{folder / name} is not there", "FOLDER is a copy of the authors' repository")
    return pd.read_csv(folder / name)


def images(folder: Path) -> pd.DataFrame:
    """The test images with model 1's scores: `image_id, patient_id, pair_id, laterality, view, split, label, score`."""
    named = _read(folder, NAMES)
    table = (
        named["image_index"]
        .str.extract(f"^{IMAGE}$")
        .assign(image_id=named["image_index"], label=named["malignant_label"], split="test")
    )
    if table["number"].isna().any():
        raise MammoError("names_wrong", f"{NAMES} names images in another way than 7ca_57_L_CC")
    groups = {"ca": "case", "co": "control"}
    scores = _read(folder, PATIENTS).astype({"id": str}).set_index(["group", "id"])
    table["score"] = [
        scores.loc[(groups[row.group], row.number), f"{row.laterality}_{row.view}_pred"] for row in table.itertuples()
    ]
    table["patient_id"] = table["group"].map(groups) + "_" + table["number"]
    return table.rename(columns={"number": "pair_id"}).drop(columns="group")


def with_scores(table: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """The same images with a configuration's scores, class by class in the order of their names.

    Raises:
        MammoError: `order_wrong` where numbers of rows differ, or the scores do not go with model 1's.
    """
    table = table.sort_values(["label", "image_id"]).reset_index(drop=True)
    if not table["label"].equals(given["y_true"]):
        raise MammoError("order_wrong", "the rows are not class 0, then class 1, of the test images")
    ours = table.assign(score=given["y_pred_prob"])
    for label, part in table.groupby("label"):
        theirs = ours.loc[part.index, "score"].reset_index(drop=True)
        own = part["score"].reset_index(drop=True)
        right = own.corr(theirs, method="spearman")
        beside = max(own.shift(step).corr(theirs, method="spearman") for step in (-4, -2, -1, 1, 2, 4))
        print(f"  class {label}: rank correlation with model 1 {right:.2f}, {beside:.2f} at most moved by some images")
        if right <= beside:
            raise MammoError("order_wrong", f"the scores of class {label} do not go with model 1's of the same images")
    return ours


def main() -> int:
    """Writes the predictions and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--replicates", type=int, default=10_000)
    arguments = parser.parse_args()
    models = {"model_1": images(arguments.folder)}
    for name, path in CONFIGURATIONS.items():
        print(name)
        models[name] = with_scores(models["model_1"], _read(arguments.folder, path))
    resampling = Resampling(replicates=arguments.replicates, also_cases=True)
    print("\nAUC (over patients) [over images], per image and per patient")
    for name, table in models.items():
        write_predictions(table, arguments.output / f"{name}.csv")
        metrics = compute_metrics(table, resampling=resampling)["test"]
        print(f"  {name}: " + ", ".join(_told(metrics[level]["auc"]) for level in ("image", "patient")))
    print("\nPaired differences of AUC, per image and per patient")
    for first, second in PAIRS_COMPARED:
        found = compare(models[first], models[second], resampling=resampling)["test"]
        told = ", ".join(_told(found[level]["auc_difference"], TABLE_DIFFERENCE) for level in ("image", "patient"))
        print(f"  {second} minus {first}: {told}")
    return 0


def _told(number: Number, form: Form = TABLE) -> str:
    p = f", p {number['p']:.4f}" if number.get("p") is not None else ""
    return f"{number_text(number, form)}{p}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MammoError as error:
        sys.exit(f"error: {error}")
