"""A hospital's road: a model is trained on site 1; other women there show no shift, those of site 2 another machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammo_tf.cli.main import main
from mammo_tf.experiments.study_recipes import from_patches, prepare_site
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes import run
from mammo_tf.study import write_manifest

SITES = ("ffdm_site_1", "ffdm_site_2")
SIZE, SPACING_MM = (192, 144), 1.0
PREVALENCE = {"malignant": 0.3, "benign": 0.2}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_machine_is_told_by_a_trained_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    groups = (
        PatientGroup("source", 90, SITES[:1], "train"), PatientGroup("validation", 40, SITES[:1], "validation"),
        PatientGroup("women", 60, SITES, "test"),
    )  # fmt: skip
    root = tmp_path / "study"
    study = make_study(root, groups, SITES, 5, SPACING_MM, prevalence=PREVALENCE, conspicuity=CONSPICUOUS, workers=1)
    home = prepare_site(study[study["site"] == SITES[0]], root, tmp_path / "home", 1, SIZE)
    run(from_patches("small", "a small network", (3, 1, 4), 1 / 16, 48), tmp_path / "run", home)
    kinds = {}
    for site in SITES:
        rows = study[(study["site"] == site) & (study["group"] == "women")].assign(label="", split="", findings="[]")
        write_manifest(rows.reset_index(drop=True), tmp_path / f"{site}.csv")
        for model in ("run", "run/model.keras"):
            command = ["shift", f"{tmp_path}/{model}", f"{tmp_path}/{site}.csv", "--root", str(root)]
            assert main([*command, "-o", f"{tmp_path}/out"]) == 0
            told = json.loads((tmp_path / "out" / "shift.json").read_text())
            kinds[site, model] = told["kind"]
            assert {one["what"] for one in told["evidence"]} == {"grey values and contrast", "features"}
    said = capsys.readouterr().out
    assert kinds == {(site, model): kind for site, kind in zip(SITES, ("none", "acquisition"), strict=True)
                     for model in ("run", "run/model.keras")}, said  # fmt: skip
