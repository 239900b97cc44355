"""The image is really built, without a Docker engine, and its default command really ends well.

buildah and debootstrap (Debian packages, root) stand in for the engine and for the base image `debian:bookworm-slim`,
so no image registry is asked. pip in the build is told what pip out here is told: its settings are mounted, not copied.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
BASE, IMAGE = "docker.io/library/debian:bookworm-slim", "localhost/mammo_tf:test"
NEEDED_BYTES = 15e9
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
        done = self.run("bud", *policy, "--tag", tag, *words, str(context))
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


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


@pytest.fixture(scope="module")
def container() -> Iterator[tuple[Builder, str]]:
    """A container of the image `cpu`; all of it is removed afterwards."""
    lacking = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if lacking or os.geteuid() != 0:
        pytest.skip(
            f"the image is built by root with buildah and debootstrap; here lacks {' '.join(lacking) or 'root'}"
        )
    if shutil.disk_usage(tempfile.gettempdir()).free < NEEDED_BYTES:
        pytest.skip(f"the image wants {NEEDED_BYTES / 1e9:.0f} GB of temporary space")
    folder = Path(tempfile.mkdtemp(prefix="mammo_tf-image-"))
    try:
        builder = Builder(folder)
        _base(builder)
        builder.build(ROOT, IMAGE, "--target", "cpu", *_pip_mounts(folder))
        made = builder.run("from", "--signature-policy", str(folder / "policy.json"), "--pull-never", IMAGE)
        assert made.returncode == 0, made.stderr
        yield builder, made.stdout.strip()
    finally:
        shutil.rmtree(folder)


def test_the_default_command_runs_a_recipe(container: tuple[Builder, str]) -> None:
    builder, name = container
    told = json.loads(builder.run("inspect", "--type", "image", IMAGE).stdout)["OCIv1"]["config"]
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
    assert "tensorflow" in inside("mammo-tf", "doctor").stdout


def test_bad_input_is_one_line_there_too(container: tuple[Builder, str]) -> None:
    builder, name = container
    done = builder.run("run", "--isolation", "chroot", name, "--", "mammo-tf", "inspect", "/data/none.csv")
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("mammo-tf: ")]
    assert "Traceback" not in done.stderr


def test_it_serves_a_bundle_to_a_client_outside(container: tuple[Builder, str], tmp_path: Path) -> None:
    """A bundle made here, mounted for reading, served in there, asked from here."""
    import cv2
    import httpx
    import keras
    import numpy as np

    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.serving import Client, export_bundle, open_bundle
    from mammo_tf.training import ModelCard, ModelFile

    builder, name = container
    keras.utils.set_random_seed(1)
    model = end2end("vgg16", "512x1", (128, 128, 3), width=1 / 16)
    card = ModelCard(preprocessing=Preprocessing.preset("legacy", (128, 128)))
    bundle = export_bundle(ModelFile(model, card), tmp_path / "models", "tiny", winograd=True)
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
