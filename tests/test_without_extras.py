"""README's promise: without the extras everything else works, and a command that needs one says so in a line."""

import subprocess
import sys
from pathlib import Path

import pytest

from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.phantom import make_study
from mammo_tf.training import ModelCard, save_model

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

WITHOUT = """
import importlib.abc, importlib.util, sys
GONE = set("highdicom pynetdicom dicomweb_client tensorflow_serving grpc_health starlette uvicorn prometheus_client "
           "httpx tf2onnx onnx onnxruntime cyclonedx_py keras_tuner kt_legacy apache_beam".split())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.split(".")[0] in GONE else find(name, package)
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from mammo_tf.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file and two exams."""
    folder = tmp_path_factory.mktemp("without")
    make_study(folder / "study", 1, ["ffdm_site_1"], 5, 1.2, workers=1)
    model = end2end("vgg16", "512x1", (128, 128, 3), width=1 / 16)
    save_model(folder / "model.keras", model, ModelCard(preprocessing=Preprocessing.preset("default", (128, 128))))
    return folder


def told(place: Path, *words: str) -> tuple[int, str]:
    """Exit code and last line of what a command says where no extra is installed."""
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, cwd=place)
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        "predict model.keras study/exams -o p.csv",
        "export model.keras --root plain --saved-model-only",
        "recipes",
        "doctor",
    ],
)
def test_what_needs_no_extra_works_without(place: Path, words: str) -> None:
    code, line = told(place, *words.split())
    assert code == 0, line


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("export model.keras --root whole", "release"),
        ("serve plain", "serving"),
        ("client http://127.0.0.1:1 study/exams -o c.csv --model a", "serving"),
        ("client grpc://127.0.0.1:1 study/exams -o c.csv --model a", "serving"),
        ("node model.keras --ae-title A --from B --to C@h:1 --spool s", "dicom-out"),
        ("predict model.keras study/exams -o d.csv --dicom-out d", "dicom-out"),
        ("tune end2end_finetune_config1 --smoke -o tuned", "tune"),
        ("prepare study/manifest.csv -o prepared --beam=--runner=DirectRunner", "beam"),
    ],
)
def test_what_needs_one_names_it(place: Path, words: str, extra: str) -> None:
    code, line = told(place, *words.split())
    assert code == 2
    assert line.startswith("mammo-tf: ")
    assert f"pip install 'mammo_tf[{extra}]'" in line
    assert not (place / "whole").exists()
    assert not (place / "d.csv").exists()
    assert not (place / "tuned").exists()
    assert not (place / "prepared").exists()
