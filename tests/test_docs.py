"""The docs tell the truth: their commands run, their links lead somewhere, and every command is told of.

Every command of a fenced `sh` block stands in one of the tables below. A short one is run here, on a tiny study and
with the paths and sizes of `SMALLER`; those of `TOGETHER` and the long ones are run by `make test-long`;
`test_image.py` has those with Docker.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import Action
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mammo_tf.cli.main import main, parser
from mammo_tf.study import read_manifest

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*DOCS, ROOT / "CHANGELOG.md", ROOT / "saved_models" / "README.md"]

SHORT = (
    "mammo-tf manifest folder /archive -o study",
    "mammo-tf manifest folder /archive -o hospital --labels export.csv --columns path=file,label=pathology "
    "--values label=B:benign,M:malignant --reference-standard 'pathology, else 24 months of follow-up'",
    "mammo-tf split study/manifest.csv --fractions 70,10,20 --stratify age,label",
    "mammo-tf inspect study/manifest.csv",
    "mammo-tf manifest folder /archive -o study --accept magnification,implant",
    "mammo-tf inspect study/manifest.csv --root /archive --report inspection.html --workers 8",
    "mammo-tf prepare study/manifest.csv --root /archive -o prepared/target --size 1152x896 --workers 8",
    "mammo-tf import-legacy inbreast_vgg16_512x1.h5 --mean 44.33 -o start.keras",
    "mammo-tf import-legacy site.h5 --mean 44.33 -o start.keras --recipe site.py",
    "mammo-tf evaluate theirs.csv --columns label=cancer,score=p,patient=woman",
    "mammo-tf evaluate theirs.csv --columns label=cancer,score=p,patient=woman --rule specificity --target 0.9 "
    "--images-too",
    "mammo-tf match-scores site_a.csv site_b.csv --by manufacturer,model_name,software --threshold 0.19 -o matched",
    "mammo-tf shift site_a.csv site_b.csv -o shift",
    "mammo-tf sample-size --auc 0.8 --width 0.1",
    "mammo-tf patient-model -o published --train LABELS_TRAIN.csv --validation LABELS_VAL.csv --test LABELS_TEST.csv "
    "--as-run",
)
TOGETHER = (  # a road of a minute and more, walked by `make test-long`; its first steps are the short ones
    "mammo-tf run pipelines/end2end_finetune_config2.py --data study/manifest.csv --root /archive "
    "--start start.keras -o runs/config2",
    "mammo-tf export runs/config2 --name config2",
    "mammo-tf predict saved_models/config2 /new/exams -o predictions.csv --sheet predictions.png",
    "mammo-tf predict saved_models/config2 /new/exams -o scores.csv --dicom-out dicom --secondary-capture",
    "mammo-tf features study/manifest.csv --root /archive -o features/features.csv --workers 8",
    "mammo-tf predict runs/config2 study/manifest.csv --root /archive -o scores/predictions.csv",
    "mammo-tf patient-model -o patient --features features/features.csv --predictions scores/predictions.csv "
    "--network runs/config2",
    "mammo-tf predict-patient patient /new/patient --age 61",
)
SMALLER = {
    "/archive": "archive", "/new/exams": "archive/p00001", "/new/patient": "archive/p00001", "1152x896": "128x128",
    "--workers 8": "--workers 1",
}  # fmt: skip
SHORTER = {  # what is added to a short command, so that it is short
    "run": "--set stages.stage_1.epochs=1 --set stages.stage_2.epochs=1 --set evaluation.replicates=20 "
    "--set preparation.rows=128 --set preparation.columns=128",
    "evaluate": "--replicates 50",
    "match-scores": "--replicates 20",
    "shift": "--replicates 99",
    "patient-model": "--replicates 20 --set components=4 --set trees=20 --set leaf=1",
}
LONG = (
    "mammo-tf run pipelines/end2end_baseline.py --smoke -o runs/smoke",
    "mammo-tf run pipelines/end2end_finetune_config1.py --smoke --set training.batch_size=4 -o runs/smoke1",
    "mammo-tf run pipelines/end2end_finetune_config2.py --smoke --variant as-run -o runs/smoke2",
    "mammo-tf tune end2end_finetune_config1 --smoke --trials 3 -o tuned/smoke",
    "make demo",
)
NOT_HERE = {
    "mammo-tf recipes": "run by tests/test_pipelines.py",
    "mammo-tf tables -o tables --seed 1 --seed 2 --seed 3": "takes hours",
    "mammo-tf tables --smoke -o tables-smoke": "run by tests/experiments/end2end/test_experiment.py",
    "mammo-tf tables ffdm-to-dbt -o table2 --seed 1 --seed 2 --seed 3": "takes hours",
    "mammo-tf tables ffdm-to-dbt --smoke -o table2-smoke": "run by tests/experiments/ffdm_to_dbt/test_experiment.py",
    "mammo-tf tables ffdm-to-dbt -o table2-cohort --manifest cohort/manifest.csv --root /archive": "a cohort not here",
    "mammo-tf tables mln-net -o mln-net --seed 1 --seed 2 --seed 3": "takes hours",
    "mammo-tf tables mln-net --smoke -o mln-net-smoke": "run by tests/experiments/mln_net/test_experiment.py",
    "mammo-tf tables mln-net -o mln-net-cohort --manifest cohort/manifest.csv --root /archive": "a cohort not here",
    "mammo-tf tables mln-net -o mln-net --seed 1 --sources ffdm_site_1 --rows unet swin_unet mln_net": "hours",
    "mammo-tf tables mln-net -o mln-net --seed 1 --rows mln_net_random_1 mln_net_random_2 mln_net_random_3 "
    "mln_net_mean_2 mln_net_mean_3": "hours",
    "mammo-tf tables mln-net -o mln-net --seed 1 --rows swin_unet_flipped swin_unet_conventional": "hours",
    "mammo-tf tables mln-net -o mln-net --seed 1 --rows sadn_drift": "hours",
    "mammo-tf shift runs/config2 prepared/site_b --by manufacturer,model_name,software -o shift_b": "run, with "
    "patients enough, by tests/adaptation/test_shift_model.py",
    "mammo-tf features cohort/manifest.csv -o cohort/features.csv --workers 8": "a cohort that is not here",
    "mammo-tf tables -o tables-cohort --target prepared/cohort --start-1 ddsm_vgg16.keras "
    "--start-2 inbreast_vgg16.keras --source-1 prepared/ddsm "
    "--source-2 prepared/inbreast --features cohort/features.csv": "collections not here",
    "mammo-tf fetch https://archive/dicom-web --from 2024-01-01 --until 2024-03-31 --count -o fetched": "run by "
    "serving/test_fetch.py against a service of its own",
    "mammo-tf fetch https://archive/dicom-web --study 1.2.840.113619.2.1 -o fetched": "run by "
    "tests/serving/test_fetch.py, and against Orthanc by test_node_load.py",
    "mammo-tf adapt runs/baseline prepared/site_2 -o ladder --old prepared/site_1": "run by "
    "tests/adaptation/test_ladder.py",
    "mammo-tf tune end2end_finetune_config2 --data prepared/target --start runs/baseline --trials 20": "run, small, "
    "by tests/journeys/test_tune.py",
    "mammo-tf tune end2end_finetune_config2 --data prepared/target --start runs/baseline --space rungs "
    "-o tuned/rungs": "the same, and the space by tests/recipes/search/test_space.py",
    "mammo-tf tune mln_net --data prepared/source --method hyperband": "the same",
    "mammo-tf run tuned/end2end_finetune_config2/best.py --data prepared/target --start runs/baseline "
    "-o runs/tuned": "the same",
    "mammo-tf serve saved_models/config2": "serves until it is ended: run by tests/cli/test_services.py",
    "mammo-tf serve --models-config deploy/models.config --models-root saved_models "
    "--batching-config deploy/batching.config --monitoring-config deploy/monitoring.config": "the same, and the files "
    "by tests/serving/test_deploy.py",
    "mammo-tf client http://127.0.0.1:8501 /new/exams -o predictions.csv --bundle saved_models/config2": "run by "
    "tests/serving/test_client.py",
    "'(printf' '{\"instances\": [{\"b64\": \";' base64 '<' film.png '|' tr -d '\\n;' printf '\"}]})' '>' "
    "request.json": "run by tests/serving/test_deploy.py",
    "curl -s -d @request.json http://127.0.0.1:8501/v1/models/config2:predict": "run by tests/serving/test_deploy.py",
    "mammo-tf run end2end_baseline --data /data/prepared -o /runs/joint --workers-file workers.txt --worker 0": "on "
    "several machines: tests/training/test_cluster.py runs two on this one",
    "mammo-tf feed end2end_baseline --data /data/prepared --address cpu1:5050": "on several machines: "
    "tests/training/test_cluster.py runs two on this one",
    "mammo-tf feed end2end_baseline --data /data/prepared --address cpu2:5050": "the same",
    "mammo-tf run end2end_baseline --data /data/prepared -o /runs/fed --feeders cpu1:5050,cpu2:5050": "the same",
    "docker compose -f deploy/compose.yaml --profile cpu up": "no Docker here; tests/serving/test_deploy.py reads it",
    "mammo-tf node saved_models/config2 --ae-title MAMMO_TF --from PACS --to PACS@10.0.0.7:104 "
    "--spool /var/spool/mammo_tf --views 4": "as a process of its own by tests/serving/test_node_load.py",
    "make setup": "made the environment that this test runs in",
    "make test": "runs this test",
    "make test-long": "runs this test's long part",
    "make test-kill": "an hour",
    "make test-fuzz": "its first two thousand files by tests/journeys/test_fuzz.py",
    "make test-beam": "in an environment of its own",
    "mammo-tf prepare s3://bucket/manifest.csv --root /archive -o s3://bucket/prepared/target": "run by "
    "tests/records/test_object_storage.py",
    "mammo-tf run end2end_baseline --data s3://bucket/prepared/target -o runs/from_bucket": "the same",
    "mammo-tf prepare cohort/manifest.csv --root /shared/archive -o /shared/cohort "
    "'--beam=--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=8'": "in the "
    "environment of make test-beam: tests/records/test_on_beam.py",
    ". .venv/bin/activate": "a shell's own business",
}
DOCKERS = {"--gpus", "--user", "--profile"}  # Docker's own options
WITH_DOCKER = (
    "docker build --target cpu -t mammo_tf:cpu .",
    "docker run --rm mammo_tf:cpu",
)


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    """Commands of all docs in order, without comments and line breaks."""
    found = []
    for page in DOCS:
        for block in _blocks(page):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    found.append(shlex.join(words))
    return found


def _known_commands() -> dict[str, Action]:
    (choices,) = [action.choices for action in parser()._actions if action.choices is not None]
    return dict(choices)  # type: ignore[call-overload]  # argparse declares no more than "iterable"


@pytest.fixture
def workplace(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the commands of the docs name: an archive with labels, a published model, recipes, tables.

    In two patients of three the left breast is said to be malignant: every part of a split has images of both classes,
    and the largest has patients of both.
    """
    study = ["phantom", str(tmp_path / "made"), "--patients", "10", "--spacing", "1.2", "--workers", "1"]
    assert main([*study, "--conspicuous"]) == 0
    (tmp_path / "made" / "exams").rename(tmp_path / "archive")
    table = read_manifest(tmp_path / "made" / "manifest.csv")
    sick = (table["laterality"] == "L") & (table["patient_id"].str[1:].astype(int) % 3 > 0)
    labels = sick.map({True: "malignant", False: "normal"})
    paths = table["path"].str.removeprefix("exams/")
    pd.DataFrame({"path": paths, "label": labels}).to_csv(tmp_path / "archive" / "labels.csv", index=False)
    export = pd.DataFrame({"file": paths, "pathology": sick.map({True: "M", False: "B"})})
    export.to_csv(tmp_path / "export.csv", index=False)
    shutil.copy(golden / "end2end" / "vgg16_512x1_w16.h5", tmp_path / "inbreast_vgg16_512x1.h5")
    shutil.copy(golden / "addons" / "group_norm.h5", tmp_path / "site.h5")
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    scores = {"cancer": [0, 0, 1, 1] * 5, "p": [number % 7 / 7 for number in range(20)], "woman": range(20)}
    pd.DataFrame(scores).to_csv(tmp_path / "theirs.csv", index=False)
    machine = {"manufacturer": "A", "model_name": "B", "software": "1"}
    for number, name in enumerate(("site_a", "site_b")):
        table = pd.DataFrame({"score": [(place % 29 / 29) ** (1 + number) for place in range(30)]}).assign(**machine)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    for part, patients in (("TRAIN", 24), ("VAL", 12), ("TEST", 12)):
        _patients(part, patients).to_csv(tmp_path / f"LABELS_{part}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _patients(part: str, count: int) -> pd.DataFrame:
    """A table of patients as the thesis's, with one feature."""
    generator = np.random.default_rng(list(part.encode()))  # other women in each
    table = pd.DataFrame({"id": [f"{part}-{number}" for number in range(count)], "age": 50})
    table["true_label"] = np.arange(count) % 2
    for view in ("L_CC", "L_MLO", "R_CC", "R_MLO"):
        table[f"{view}_pred"] = generator.random(count)
        table[f"imin_{view}"] = generator.random(count) + table["true_label"]
    return table


def test_every_command_has_a_class_and_every_class_entry_is_in_the_docs() -> None:
    classed = [*SHORT, *TOGETHER, *LONG, *NOT_HERE, *WITH_DOCKER]
    assert len(set(classed)) == len(classed)
    commands = set(_commands())
    assert not commands - set(classed), "commands of the docs that no class of this test names"
    assert not set(classed) - commands, "named here, and no longer in the docs"


def test_the_quickstart_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """On a folder of six women with labels, and a model of random weights."""
    import keras

    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.training import ModelCard, save_model

    study = ["phantom", str(tmp_path / "made"), "--patients", "6", "--spacing", "1.2", "--workers", "1"]
    assert main(study) == 0
    (tmp_path / "made" / "exams").rename(tmp_path / "archive")
    table = read_manifest(tmp_path / "made" / "manifest.csv")
    sick = table["patient_id"].str[1:].astype(int) % 2 == 0
    paths = table["path"].str.removeprefix("exams/")
    labels = pd.DataFrame({"path": paths, "label": sick.map({True: "malignant", False: "normal"})})
    labels.to_csv(tmp_path / "archive" / "labels.csv", index=False)
    keras.utils.set_random_seed(1)
    model = end2end("vgg16", "512x1", (128, 128, 3), width=1 / 16)
    save_model(tmp_path / "model.keras", model, ModelCard(preprocessing=Preprocessing.preset("default", (128, 128))))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    (block,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "quickstart.md").read_text(), re.M | re.S)
    exec(compile(block, "docs/quickstart.md", "exec"), {})
    assert re.search(r"^AUC 0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\), \d+ files refused$", capsys.readouterr().out, re.M)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == len(table)


@pytest.mark.long
def test_pages_of_all_names_are_made(tmp_path: Path) -> None:
    """`make api`, with its own list of modules: each has a page, and a lazy name stands on one."""
    shutil.copytree(ROOT / "mammo_tf", tmp_path / "mammo_tf", ignore=shutil.ignore_patterns("__pycache__"))
    rule = (ROOT / "Makefile").read_text().split("\napi: ")[1].split("\n\n")[0].split("\n", 1)[1]
    command = rule.replace("\t$(BIN)/python", sys.executable).replace("$$", "$")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment, capture_output=True)
    assert "export_bundle" in (tmp_path / "api" / "mammo_tf" / "serving" / "export.html").read_text()
    assert "delong_paired" in (tmp_path / "api" / "mammo_tf" / "evaluation" / "roc.html").read_text()


def test_commands_stand_in_fenced_blocks() -> None:
    for page in DOCS:
        loose = re.findall(r"^    (?:mammo-tf|make|docker) .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert not loose, f"{page.name}: put these into a block ```sh, so that they are tried: {loose}"


def test_every_command_can_be_parsed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in _commands():
        program, *words = shlex.split(command)
        if program == "mammo-tf":
            parser().parse_args(words)
        elif program == "make":
            assert f"\n{words[0]}:" in makefile, command


def _run(commands: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for command in (command for command in _commands() if command in commands):
        tried = command
        for text, smaller in SMALLER.items():
            tried = tried.replace(text, smaller)
        words = shlex.split(tried)[1:]
        code = main([*words, *shlex.split(SHORTER.get(words[0], ""))])
        said = capsys.readouterr()
        assert code == 0, f"{command}: {said.err}"
        assert said.out, command


def test_the_short_commands_of_the_docs_run(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(SHORT, capsys)
    assert (workplace / "start.keras").is_file()
    assert len(read_manifest(workplace / "study" / "manifest.csv")) == 40


@pytest.mark.long
def test_the_commands_of_the_docs_run_together(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run((*SHORT, *TOGETHER), capsys)
    assert (workplace / "saved_models" / "config2" / "1" / "saved_model.pb").is_file()
    assert (workplace / "runs" / "config2" / "report.html").is_file()
    assert len(pd.read_csv(workplace / "predictions.csv")) == 4
    assert (workplace / "patient" / "model" / "network" / "model.keras").is_file()
    assert Image.open(workplace / "predictions.png").width > 300
    assert len(list((workplace / "dicom").glob("*/report.dcm"))) == 1


@pytest.mark.long
@pytest.mark.parametrize("command", [command for command in LONG if command.startswith("mammo-tf run")])
def test_the_smoke_runs_of_the_docs(command: str, workplace: Path) -> None:
    assert main(shlex.split(command)[1:]) == 0
    folder = workplace / shlex.split(command)[-1]
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_make_demo(tmp_path: Path) -> None:
    """With this test's own environment, which is not installed again (`-o`)."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    shutil.copy(ROOT / "Makefile", tmp_path)
    ready = f"{sys.prefix}/.ready"
    environment = os.environ | {"MAKEFLAGS": ""}
    words = ["make", "-o", ready, f"VENV={sys.prefix}", "demo"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("Open demo/report.html")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000


def test_links_lead_somewhere_and_pictures_open() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for picture, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text):
            if target.startswith(("http://", "https://", "#")):
                continue
            path = page.parent / target.partition("#")[0]
            assert path.exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
            if picture:
                assert min(Image.open(path).size) > 100


def test_the_docs_name_commands_that_exist_and_all_of_them() -> None:
    known = set(_known_commands())
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = [*re.findall(r"`([^`\n]+)`", text), *_blocks(page)]
        named = {name for part in code for name in re.findall(r"\bmammo-tf ([a-z][a-z-]*)", part)}
        assert named <= known, f"{page.name} names {sorted(named - known)}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", readme, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert told == known


def test_the_docs_name_options_that_exist() -> None:
    options = {name for command in _known_commands().values() for name in command._option_string_actions}  # type: ignore[attr-defined]
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    options |= set(re.findall(r"add_argument\(\s*\"(--[a-z-]+)", scripts)) | DOCKERS
    for page in DOCS:
        for span in re.findall(r"`(--[a-z-]+)[^`\n]*`", page.read_text(encoding="utf-8")):
            assert span in options, f"{page.name} names the option {span}"


def test_names_of_keras_in_the_table_of_replacements_exist() -> None:
    import keras

    page = (ROOT / "docs" / "migration.md").read_text()
    names = set(re.findall(r"`(keras\.[A-Za-z0-9_.]+)`", page))
    assert len(names) > 10
    for name in names:
        place: Any = keras
        for part in name.split(".")[1:]:
            place = getattr(place, part)
