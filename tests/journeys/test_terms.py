"""What a collection's terms allow follows its pictures, from the manifest into the model's card and its release."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mammo_tf.cli.main import main
from mammo_tf.files import read_json
from mammo_tf.study import read_manifest

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

PIPELINES = Path(__file__).parents[2] / "pipelines"
HEADER = ("site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
          "difficult_negative_case\n")  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command prints, on either stream, and that it ends as it must."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def _as_rsna(study: Path, root: Path) -> None:
    """A phantom study laid down as RSNA-2022."""
    lines = [HEADER]
    table = read_manifest(study / "manifest.csv")
    women = {patient: 900 + number for number, patient in enumerate(dict.fromkeys(table["patient_id"]))}
    for number, row in enumerate(table.to_dict("records"), 800):
        woman, cancer = women[row["patient_id"]], int(row["label"] == "malignant")
        path = root / f"train_images/{woman}/{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(study / row["path"], path)
        lines.append(f"1,{woman},{number},{row['laterality']},{row['view']},50,{cancer},{cancer},0,,0,,29,False\n")
    (root / "train.csv").write_text("".join(lines))


def test_terms_go_from_the_manifest_into_the_card_and_forbid_a_commercial_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, root, listed, run = (tmp_path / name for name in ("study", "rsna", "listed", "run"))
    said(capsys, "phantom", study, "--patients", 6, "--conspicuous", "--spacing", 1.5, "--workers", 1, "--seed", 3)
    _as_rsna(study, root)
    told = said(capsys, "manifest", "rsna-2022", root, "-o", listed)
    assert "terms of the data: RSNA-2022 (Kaggle): by the rules of the competition, non-commercial" in told
    manifest = listed / "manifest.csv"
    said(capsys, "split", manifest, "--fractions", "50,25,25", "--stratify", "label")
    prepared = tmp_path / "prepared"
    said(capsys, "prepare", manifest, "--root", root, "-o", prepared, "--size", "128x128")
    settings = ("--smoke", "--set", f"network.backbone={STUMP}", "--set", "evaluation.replicates=20")
    said(capsys, "run", PIPELINES / "whole_image.py", *settings, "--data", prepared, "-o", run)
    (terms,) = set(read_manifest(manifest)["terms"])
    export = ("export", run, "--root", tmp_path / "saved_models", "--saved-model-only")
    refused = said(capsys, *export, "--commercial", code=2)
    assert refused.startswith("mammo-tf: the model was trained on data whose terms forbid commercial use")
    assert terms in refused
    assert not (tmp_path / "saved_models").exists()
    said(capsys, *export)
    bundle = tmp_path / "saved_models/run/1"
    assert read_json(bundle / "assets.extra/bundle.json")["card"]["terms"] == [terms]
    assert f"Terms of use: {terms}." in (bundle / "assets.extra/MODEL_CARD.md").read_text(encoding="utf-8")
