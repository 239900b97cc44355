"""The files of `deploy/` and the commands of `docs/serving.md`, tried on a running server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from mammo_tf.phantom.study import make_study
from mammo_tf.reading import read
from mammo_tf.serving import open_bundle
from mammo_tf.serving.batching import BatchSettings
from mammo_tf.serving.server import ModelServer, ServerSettings
from mammo_tf.serving.server_config import (
    ModelSettings,
    VersionPolicy,
    read_batching_config,
    read_models_config,
    read_monitoring_config,
)

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROFILES = ("cpu", "gpu")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_the_configuration_files() -> None:
    (model,) = read_models_config(DEPLOY / "models.config")
    assert model == ModelSettings("end2end", Path("/models/end2end"), VersionPolicy(specific=(1,)), {"stable": 1})
    assert read_batching_config(DEPLOY / "batching.config") == BatchSettings(4, 0.005, 1, 64)
    assert read_monitoring_config(DEPLOY / "monitoring.config") == "/monitoring/prometheus/metrics"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_services_of_compose(compose: dict[str, Any], profile: str) -> None:
    (one,) = [service for service in compose.values() if service["profiles"] == [profile]]
    assert len(compose) == len(PROFILES)
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+(-gpu)?", one["image"])
    assert one["image"].endswith("-gpu") == (profile == "gpu")
    assert all(port.startswith("127.0.0.1:") for port in one["ports"])
    assert all(volume.endswith(":ro") for volume in one["volumes"])
    assert one["user"].split(":")[0] not in ("", "0", "root")
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["read_only"]
    assert one["cap_drop"] == ["ALL"]
    mounted = {volume.split(":")[1]: DEPLOY / volume.split(":")[0] for volume in one["volumes"]}
    for word in one["command"]:
        name, _, value = word.removeprefix("--").partition("=")
        assert value, word
        if name.endswith("_file"):
            assert (mounted["/config"] / Path(value).relative_to("/config")).is_file(), word
    assert mounted["/models"].resolve() == ROOT / "saved_models"
    assert ("deploy" in one) == (profile == "gpu")


@pytest.fixture(scope="module")
def deployed(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that is told what TensorFlow Serving's is, with a bundle as `end2end`."""
    models = tmp_path_factory.mktemp("saved_models")
    shutil.copytree(served["bundle"], models / "end2end" / "1")
    config = DEPLOY / "models.config"
    settings = ServerSettings(
        read_models_config(config, models), config, models, read_batching_config(DEPLOY / "batching.config"),
        read_monitoring_config(DEPLOY / "monitoring.config"), rest_port=0, grpc_port=0, poll_s=3600,
    )  # fmt: skip
    with ModelServer(settings) as server:
        yield server


def test_the_health_check_of_compose(compose: dict[str, Any], deployed: ModelServer) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    for service in compose.values():
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD"
        here = [word.replace("8501", str(deployed.rest_port)) for word in words]
        assert subprocess.run(here, capture_output=True, timeout=30).returncode == 0
        other = [word.replace("end2end", "nothing") for word in here]
        assert subprocess.run(other, capture_output=True, timeout=30).returncode != 0


def test_the_curl_of_the_docs(deployed: ModelServer, served: dict[str, Any], tmp_path: Path) -> None:
    """With a picture of the phantom; its score is that of the bundle."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("there is no curl here")
    made = make_study(tmp_path / "made", 1, ["ffdm_site_1"], 5, 1.2, workers=1)
    pixels = read(tmp_path / "made" / made["path"][0]).pixels
    cv2.imwrite(str(tmp_path / "film.png"), np.rint(pixels * 65535).astype(np.uint16))
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S) for line in block.splitlines()]
    first, second = (line for line in lines if line.startswith(("(printf", "curl")))
    script = "\n".join([first, second.replace("8501", str(deployed.rest_port)).replace("config2", "end2end")])
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["predictions"]
    assert set(row) >= {"score", "heatmap"}
    expected = open_bundle(served["bundle"]).score_png([(tmp_path / "film.png").read_bytes()]).score[0]
    assert row["score"] == pytest.approx(float(expected), abs=1e-6)
