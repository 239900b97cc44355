"""The image is really built, without a Docker engine, and its default command really ends well.

buildah and debootstrap (Debian packages, root) stand in for the engine and for the base image `debian:bookworm-slim`,
so no image registry is asked. pip in the build is told what pip out here is told: its settings are mounted, not copied.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
BASE, IMAGE = "docker.io/library/debian:bookworm-slim", "localhost/mammo_tf:"
NEEDED_BYTES = {"cpu": 15e9, "gpu": 50e9}
CERTIFICATES = "/mnt/pip-certificates.crt"

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


class Builder:
    """buildah with a store of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "registries.conf").write_text("unqualified-search-registries=[]\n")
        (folder / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}\n')

    def line(self, command: str, *words: str) -> list[str]:
        """One buildah command as it is typed."""
        places = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run")]
        places += ["--registries-conf", str(self.folder / "registries.conf")]
        return ["buildah", "--storage-driver", "vfs", *places, command, *words]

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """What a command says; it may fail."""
        return subprocess.run(self.line(command, *words), capture_output=True, text=True, cwd=ROOT)

    def build(self, context: Path, tag: str, *words: str) -> None:
        """Builds `context` to `tag` without asking a registry."""
        policy = ("--isolation", "chroot", "--signature-policy", str(self.folder / "policy.json"), "--pull-never")
        done = self.run("bud", "--format", "docker", *policy, "--tag", tag, *words, str(context))
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    def settings(self, tag: str) -> dict[str, Any]:
        """What an image says of how it is run."""
        return dict(json.loads(self.run("inspect", "--type", "image", tag).stdout)["Docker"]["config"])


def _base(builder: Builder) -> None:
    """The base image, bootstrapped from Debian's packages."""
    context, tree = builder.folder / "base", builder.folder / "tree"
    context.mkdir()
    made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(tree)], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:]
    subprocess.run(["tar", "-C", str(tree), "-cf", str(context / "tree.tar"), "."], check=True)
    shutil.rmtree(tree)
    (context / "Dockerfile").write_text("FROM scratch\nADD tree.tar /\n")
    builder.build(context, BASE)
    shutil.rmtree(context)


def _pip_mounts(folder: Path) -> list[str]:
    """Volumes through which pip in the build finds what pip finds here: settings, certificates, folders of packages."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings, volumes = {}, []
    for line in listed.stdout.splitlines():
        name, _, text = line.partition("=")
        value = str(ast.literal_eval(text)).split()
        key = name.rpartition(".")[2]
        if key == "cert":
            volumes.append(f"{value[0]}:{CERTIFICATES}:ro")
            value = [CERTIFICATES]
        if key in ("constraint", "build-constraint"):
            volumes += [f"{place}:{place}:ro" for place in value if Path(place).is_file()]
        if key in ("find-links", "index-url", "extra-index-url"):
            for place in value:
                path = Path(unquote(urlsplit(place).path))
                if urlsplit(place).scheme in ("", "file") and path.is_dir():
                    top = path if key == "find-links" else path.parent  # an index names files next to itself
                    volumes.append(f"{top}:{top}:ro")
        settings[key] = " ".join(value)
    (folder / "pip.conf").write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    volumes.append(f"{folder / 'pip.conf'}:/etc/pip.conf:ro")
    return [word for volume in sorted(set(volumes)) for word in ("--volume", volume)]


@pytest.fixture(scope="module", params=NEEDED_BYTES)
def container(request: pytest.FixtureRequest) -> Iterator[tuple[Builder, str]]:
    """A container of each image; all of it is removed afterwards."""
    target = str(request.param)
    lacking = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if lacking or os.geteuid() != 0:
        pytest.skip(
            f"the image is built by root with buildah and debootstrap; here lacks {' '.join(lacking) or 'root'}"
        )
    if shutil.disk_usage(tempfile.gettempdir()).free < NEEDED_BYTES[target]:
        pytest.skip(f"the image {target} wants {NEEDED_BYTES[target] / 1e9:.0f} GB of temporary space")
    folder = Path(tempfile.mkdtemp(prefix="mammo_tf-image-"))
    try:
        builder = Builder(folder)
        _base(builder)
        builder.build(ROOT, IMAGE + target, "--target", target, *_pip_mounts(folder))
        builder.run("rm", "--all")
        image = ("--pull-never", "--name", target, IMAGE + target)
        made = builder.run("from", "--signature-policy", str(folder / "policy.json"), *image)
        assert made.returncode == 0, made.stderr
        yield builder, made.stdout.strip()
    finally:
        shutil.rmtree(folder)


def test_the_default_command_runs_a_recipe(container: tuple[Builder, str]) -> None:
    builder, name = container
    told = builder.settings(IMAGE + name)
    assert told["User"] == "mammo"
    assert told["StopSignal"] == "SIGINT"
    done = builder.run("run", "--isolation", "chroot", name, "--", *told["Entrypoint"], *told["Cmd"])
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.rstrip().endswith("report: /runs/smoke/report.html")


def test_it_does_not_run_as_root_and_holds_no_settings_of_the_build(container: tuple[Builder, str]) -> None:
    builder, name = container

    def inside(*words: str) -> subprocess.CompletedProcess[str]:
        return builder.run("run", "--isolation", "chroot", name, "--", *words)

    assert inside("id", "-u").stdout.strip() == "1000"
    assert inside("touch", "/opt/venv/x").returncode != 0
    assert inside("touch", "/runs/x").returncode == 0
    assert inside("test", "-s", "/etc/pip.conf").returncode != 0
    assert inside("test", "-s", CERTIFICATES).returncode != 0
    doctor = inside("mammo-tf", "doctor").stdout
    assert "tensorflow" in doctor and "keras-tuner" in inside("pip", "list").stdout
    assert "no GPU" in doctor, "no card is looked for that is not there"
    assert "tensorflow was built for compute capabilities 6.0," in doctor
    assert ("nvidia-cudnn" in inside("pip", "list").stdout) == (name == "gpu")


def test_bad_input_is_one_line_there_too(container: tuple[Builder, str]) -> None:
    builder, name = container
    done = builder.run("run", "--isolation", "chroot", name, "--", "mammo-tf", "inspect", "/data/none.csv")
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("mammo-tf: ")]
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's bundle, made here, in a folder that others than its owner may read."""
    import keras

    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.serving import export_bundle
    from mammo_tf.training import ModelCard, ModelFile

    keras.utils.set_random_seed(1)
    model = end2end("vgg16", "512x1", (128, 128, 3), width=1 / 16)
    card = ModelCard(preprocessing=Preprocessing.preset("legacy", (128, 128)))
    models = tmp_path_factory.mktemp("bundle") / "models"  # pytest's own folder is root's alone
    return export_bundle(ModelFile(model, card), models, "tiny", winograd=True)


def test_it_serves_a_bundle_to_a_client_outside(container: tuple[Builder, str], bundle: Path) -> None:
    """A bundle that is mounted for reading, served in there, asked from here."""
    import cv2
    import httpx
    import numpy as np

    from mammo_tf.serving import Client, open_bundle

    builder, name = container
    film = cv2.imencode(".png", np.random.default_rng(0).integers(0, 65536, (200, 150)).astype(np.uint16))[1].tobytes()
    ports = ("--rest-port", "18501", "--grpc-port", "18500")
    mount = ("--volume", f"{bundle.parent.parent}:/models:ro")
    line = builder.line("run", "--isolation", "chroot", *mount, name, "--", "mammo-tf", "serve", "/models/tiny", *ports)
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            for _ in range(240):
                assert server.poll() is None, server.stdout.read() if server.stdout else ""
                try:
                    if httpx.get("http://127.0.0.1:18501/healthz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.5)
            for address in ("http://127.0.0.1:18501", "grpc://127.0.0.1:18500"):
                with Client(address, "tiny") as client:
                    score = client.score_png([film])["score"]
                np.testing.assert_allclose(score, open_bundle(bundle).score_png([film]).score, atol=1e-5)
        finally:
            server.terminate()
            server.wait(60)


def test_the_health_check_asks_the_server(container: tuple[Builder, str], bundle: Path) -> None:
    """In a namespace where the server is process 1, as an engine has it: ill until it answers, then well.

    What serves nothing is well while it runs. An engine's own counting of checks is not tried.
    """
    builder, name = container
    settings = builder.settings(IMAGE + name)
    kind, *check = settings["Healthcheck"]["Test"]
    assert kind == "CMD"
    top = Path(builder.run("mount", name).stdout.strip())
    shutil.copytree(bundle.parent.parent, top / "models", dirs_exist_ok=True)
    variables = ["env", "-i", *settings["Env"], "HOME=/tmp"]
    user = ["chroot", "--userspec=1000:1000", str(top), *variables]
    alone = ["unshare", "--pid", "--fork", "--mount", "sh", "-c", 'mount -t proc proc "$1/proc" && shift && exec "$@"']

    def first_process(*words: str) -> tuple[subprocess.Popen[bytes], str]:
        outer = subprocess.Popen([*alone, "sh", str(top), *user, *words], stdout=subprocess.DEVNULL)
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        for _ in range(100):
            if inner := children.read_text().split():
                return outer, inner[0]
            time.sleep(0.1)
        raise AssertionError("nothing was started")

    def well(inner: str) -> bool:
        line = ["nsenter", "--target", inner, "--pid", "--mount", *user, *check]
        return subprocess.run(line, capture_output=True).returncode == 0

    for words, serves in ((("mammo-tf", "serve", "/models/tiny"), True), (("sleep", "60"), False)):
        outer, inner = first_process(*words)
        try:
            time.sleep(0.5)
            assert well(inner) != serves, "a server that has not loaded its model is not well yet"
            for _ in range(240):
                if well(inner):
                    break
                assert outer.poll() is None
                time.sleep(0.5)
            assert well(inner)
        finally:
            if outer.poll() is None:
                os.kill(int(inner), signal.SIGTERM if serves else signal.SIGKILL)
                outer.wait(60)
