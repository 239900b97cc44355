"""The files of `deploy/training`: their form, and that they name what the package reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mammo_tf.cli.main import parser
from mammo_tf.data.feeding import check_addresses
from mammo_tf.launcher import Cluster, cluster_of_file

FOLDER = Path(__file__).parents[1] / "deploy" / "training"


def _manifests(name: str) -> dict[str, Any]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    return _manifests("kubernetes.yaml")


@pytest.fixture(scope="module")
def feeding() -> dict[str, Any]:
    return _manifests("kubernetes_feeding.yaml")


def _asked(words: list[str]) -> Any:
    return parser().parse_args(list(map(str, words)))


def test_kubernetes_knows_every_field(manifests: dict[str, Any], feeding: dict[str, Any]) -> None:
    for one in (*manifests.values(), *feeding.values()):
        kubernetes_validate.validate(one, "1.33", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifests["Job"] | {"spec": {"completion": 2}}, "1.33", strict=True)


def test_every_pod_of_the_job_is_a_line_of_the_workers(manifests: dict[str, Any], tmp_path: Path) -> None:
    job, service = manifests["Job"]["spec"], manifests["Service"]
    (tmp_path / "workers.txt").write_text(manifests["ConfigMap"]["data"]["workers.txt"])
    cluster = cluster_of_file(tmp_path / "workers.txt", job["completions"] - 1)
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert cluster.addresses == tuple(f"{name}-{number}.{name}:{port}" for number in range(job["completions"]))
    assert job["parallelism"] == job["completions"], "all at once, or the first waits in vain"
    pod = job["template"]["spec"]
    assert pod["subdomain"] == name == manifests["Job"]["metadata"]["name"]
    (container,) = pod["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    asked = _asked([word.replace("$(JOB_COMPLETION_INDEX)", "1") for word in container["args"]])
    assert (asked.worker, asked.workers_file) == (1, "/cluster/workers.txt")
    for path in (asked.data, asked.workers_file, asked.output):
        assert any(path.startswith(mount) for mount in mounts), path
    assert pod["securityContext"]["runAsNonRoot"]


def test_compose_starts_every_line_of_its_workers() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    workers = services["services"]
    cluster = cluster_of_file(FOLDER / "workers.txt", 0)
    assert isinstance(cluster, Cluster)
    assert [address.partition(":")[0] for address in cluster.addresses] == [one["hostname"] for one in workers.values()]
    assert [_asked(one["command"]).worker for one in workers.values()] == list(range(len(cluster.addresses)))
    assert services["networks"]["training"]["internal"]
    assert not any("ports" in one for one in workers.values())


def test_every_pod_of_the_set_is_a_feeder_of_the_list(feeding: dict[str, Any]) -> None:
    feeders, name = feeding["StatefulSet"]["spec"], feeding["Service"]["metadata"]["name"]
    assert feeders["serviceName"] == name == feeding["StatefulSet"]["metadata"]["name"]
    (container,) = feeders["template"]["spec"]["containers"]
    (pod,) = container["env"]
    assert (pod["name"], pod["valueFrom"]["fieldRef"]["fieldPath"]) == ("POD", "metadata.name")
    found = [
        _asked([word.replace("$(POD)", f"{name}-{number}") for word in container["args"]])
        for number in range(feeders["replicas"])
    ]
    ports = {5050, 5051}
    assert {one["containerPort"] for one in container["ports"]} == ports
    assert {one["port"] for one in feeding["Service"]["spec"]["ports"]} == ports
    (rule,) = feeding["NetworkPolicy"]["spec"]["ingress"]
    assert {one["port"] for one in rule["ports"]} == ports and rule["from"]
    assert found[0].data in [mount["mountPath"] for mount in container["volumeMounts"]]
    comment = (FOLDER / "kubernetes_feeding.yaml").read_text(encoding="utf-8").split("#   mammo-tf ")[1].split("\n")[0]
    trainer = _asked(comment.split())
    check_addresses(trainer.feeders)
    assert trainer.feeders == tuple(one.address for one in found)


def test_compose_starts_every_feeder_that_its_training_names() -> None:
    services = yaml.safe_load((FOLDER / "feeding.yaml").read_text(encoding="utf-8"))
    asked = {name: _asked(one["command"]) for name, one in services["services"].items()}
    trainer = asked.pop("trainer")
    check_addresses(trainer.feeders)
    assert trainer.feeders == tuple(one.address for one in asked.values())
    assert [address.partition(":")[0] for address in trainer.feeders] == list(asked)
    assert {(one.data, one.recipe) for one in asked.values()} == {(trainer.data, trainer.recipe)}
    assert services["networks"]["feeding"]["internal"]
    assert not any("ports" in one for one in services["services"].values())
