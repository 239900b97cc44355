"""Versions that come and go while they are asked."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from little_models import half_plus_two
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from mammo_tf.errors import MammoError
from mammo_tf.serving.model_store import Asked, ModelStore, State
from mammo_tf.serving.refusals import Code, RequestError
from mammo_tf.serving.server_config import (
    ModelSettings,
    VersionPolicy,
    models_in,
    models_of,
    read_batching_config,
    read_models_config,
    read_monitoring_config,
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`half_plus_two`, and another that adds 3."""
    folder = tmp_path_factory.mktemp("two")
    half_plus_two(folder / "plus_two")
    half_plus_two(folder / "plus_three", added=3.0)
    return folder


@pytest.fixture
def root(two: Path, tmp_path: Path) -> Path:
    """A model with one version, 1, that adds 2."""
    shutil.copytree(two / "plus_two", tmp_path / "half" / "1")
    return tmp_path / "half"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(said: list[str]) -> Iterator[ModelStore]:
    made = ModelStore(said.append)
    yield made
    made.close()


def value(store: ModelStore, **asked: Any) -> float:
    with store.held(Asked("half", **asked)) as held:
        return float(held.model.run(["x:0"], [np.float32(2.0)], ["y:0"])[0])


def states(store: ModelStore) -> dict[int, str]:
    return {one.version: one.state.name for one in store.statuses(Asked("half"))}


def test_a_new_version_takes_over_and_calls_in_flight_finish(
    store: ModelStore, root: Path, two: Path, said: list[str]
) -> None:
    store.configure([ModelSettings("half", root)])
    assert value(store) == 3.0
    with store.held(Asked("half")) as held:
        shutil.copytree(two / "plus_three", root / "2")
        store.refresh()
        assert states(store) == {1: "UNLOADING", 2: "AVAILABLE"}
        assert value(store) == 4.0
        with pytest.raises(RequestError, match=r"Specific\(half, 1\)"):
            value(store, version=1)
        assert held.version == 1
        assert float(held.model.run(["x:0"], [np.float32(2.0)], ["y:0"])[0]) == 3.0
    assert states(store) == {1: "END", 2: "AVAILABLE"}
    assert said[-2:] == [f"half version 2 is served, from {root / '2'}", "half version 1 is served no longer"]
    store.refresh()
    assert len(said) == 3


def test_the_old_version_answers_while_the_new_one_is_loaded(root: Path, two: Path) -> None:
    from mammo_tf.serving.version_folders import opened

    begun, may_load = threading.Event(), threading.Event()
    may_load.set()

    def slowly(folder: Path) -> Any:
        begun.set()
        may_load.wait(30)
        return opened(folder)

    store = ModelStore(load=slowly)
    store.configure([ModelSettings("half", root)])
    shutil.copytree(two / "plus_three", root / "2")
    begun.clear()
    may_load.clear()
    loading = threading.Thread(target=store.refresh)
    loading.start()
    assert begun.wait(30)
    assert (value(store), states(store)) == (3.0, {1: "AVAILABLE", 2: "LOADING"})
    may_load.set()
    loading.join()
    assert value(store) == 4.0
    store.close()


def test_a_broken_version_leaves_the_old_one_serving_and_is_tried_again(
    store: ModelStore, root: Path, two: Path, said: list[str]
) -> None:
    store.configure([ModelSettings("half", root)])
    shutil.copytree(two / "plus_three", root / "2")
    graph = root / "2" / "saved_model.pb"
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    store.refresh()
    store.refresh()
    assert sum("version 2 is not served" in line for line in said) == 1
    one, other = store.statuses(Asked("half"))
    assert (one.state, other.state) == (State.AVAILABLE, State.END)
    assert other.error is not None
    assert str(root / "2") in other.error.sentence
    assert value(store) == 3.0
    graph.write_bytes(whole)
    store.refresh()
    assert (value(store), states(store)) == (4.0, {1: "END", 2: "AVAILABLE"})


def test_a_fault_that_nobody_foresaw_leaves_the_old_version_serving(root: Path, two: Path) -> None:
    from mammo_tf.serving.version_folders import opened

    def load(folder: Path) -> Any:
        if folder.name == "2":
            raise RuntimeError("a fault")
        return opened(folder)

    store = ModelStore(load=load)
    store.configure([ModelSettings("half", root)])
    shutil.copytree(two / "plus_three", root / "2")
    store.refresh()
    assert value(store) == 3.0
    error = store.statuses(Asked("half", 2))[0].error
    assert error is not None
    assert error.sentence == f"{root / '2'}: RuntimeError: a fault"
    store.close()


def test_policies(store: ModelStore, root: Path, two: Path) -> None:
    for number in (2, 3):
        shutil.copytree(two / "plus_three", root / str(number))
    (root / "notes").mkdir()
    for policy, serving in (
        (VersionPolicy(), [3]),
        (VersionPolicy(latest=2), [2, 3]),
        (VersionPolicy(latest=None), [1, 2, 3]),
        (VersionPolicy(specific=(1,)), [1]),
        (VersionPolicy(specific=(3, 1)), [1, 3]),
    ):
        store.configure([ModelSettings("half", root, policy)])
        assert [number for number, state in states(store).items() if state == "AVAILABLE"] == serving
    shutil.rmtree(root)
    store.refresh()
    assert value(store, version=1) == 3.0  # a share that went away takes no model with it


def test_labels_and_rollback(store: ModelStore, root: Path, two: Path) -> None:
    shutil.copytree(two / "plus_three", root / "2")
    both = VersionPolicy(latest=None)
    store.configure([ModelSettings("half", root, both, {"stable": 1, "canary": 2})])
    assert (value(store, label="stable"), value(store, label="canary")) == (3.0, 4.0)
    assert store.statuses(Asked("half", label="canary"))[0].version == 2
    store.configure([ModelSettings("half", root, both, {"stable": 2})])
    assert value(store, label="stable") == 4.0
    for policy, number in ((both, 7), (VersionPolicy(specific=(2,)), 1)):  # not there; would go
        with pytest.raises(RequestError, match="which is not currently available for inference") as caught:
            store.configure([ModelSettings("half", root, policy, {"stable": number})])
        assert caught.value.code == Code.FAILED_PRECONDITION
    assert value(store, label="stable") == 4.0
    store.configure([ModelSettings("half", root, both, {"stable": 1})])
    assert value(store, label="stable") == 3.0


def test_models_come_go_and_move(store: ModelStore, root: Path, two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / "plus_three", tmp_path / "moved" / "1")
    store.configure([ModelSettings("half", root), ModelSettings("other", root)])
    assert store.names() == ["half", "other"]
    store.configure([ModelSettings("half", tmp_path / "moved")])
    assert value(store) == 4.0
    with pytest.raises(RequestError, match=r"Latest\(other\)"), store.held(Asked("other")):
        pass
    with pytest.raises(MammoError, match="has no version to serve of the model half"):
        store.configure([ModelSettings("half", tmp_path / "nowhere")])
    assert value(store) == 4.0


def test_a_bundle_with_a_changed_byte_is_refused_by_name(
    served: dict[str, Any], store: ModelStore, tmp_path: Path
) -> None:
    shutil.copytree(served["bundle"], tmp_path / "tiny" / "1")
    changed = next((tmp_path / "tiny" / "1" / "variables").glob("*.data*"))
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    with pytest.raises(MammoError, match=f"{changed} is not what was exported"):
        store.configure([ModelSettings("tiny", tmp_path / "tiny")])
    assert store.names() == []


def test_requests_next_to_a_model_are_replayed(store: ModelStore, root: Path) -> None:
    import tensorflow as tf

    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32(2)))
    path = root / "1" / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()

    def write() -> None:
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(log.SerializeToString())

    write()
    store.configure([ModelSettings("half", root)])
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto("a word"))
    write()
    store.configure([])
    with pytest.raises(MammoError, match="tf_serving_warmup_requests: the request 0 cannot be replayed"):
        store.configure([ModelSettings("half", root)])


def test_folders_that_are_named(root: Path, two: Path, tmp_path: Path) -> None:
    assert [(one.name, one.folder) for one in models_in([root])] == [("half", root)]
    assert [one.name for one in models_in([root / "1"])] == ["half"]
    assert [one.name for one in models_in([two / "plus_two", root])] == ["plus_two", "half"]
    assert [one.name for one in models_in([tmp_path])] == ["half"]
    assert models_in([root], "ours")[0].name == "ours"
    for folders, name, code in (
        ([tmp_path / "no"], None, "model_missing"), ([Path(__file__)], None, "model_missing"),
        ([root / "1" / "variables"], None, "not_a_saved_model"), ([root, root / "1"], None, "model_repeated"),
        ([two / "plus_two", root], "ours", "option_wrong"),
    ):  # fmt: skip
        with pytest.raises(MammoError) as caught:
            models_in(folders, name)
        assert caught.value.code == code


def test_configuration_files(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text(
        "model_config_list { config { name: 'a' base_path: '/models/a' model_platform: 'tensorflow'\n"
        "  model_version_policy { specific { versions: 42 versions: 43 } }\n"
        "  version_labels { key: 'stable' value: 42 } }\n"
        "config { name: 'b' base_path: '/srv/b' model_version_policy { all {} } } }"
    )
    first, second = read_models_config(path)
    assert first == ModelSettings("a", Path("/models/a"), VersionPolicy(specific=(42, 43)), {"stable": 42})
    assert second.policy == VersionPolicy(latest=None)
    assert [one.folder for one in read_models_config(path, "here")] == [Path("here/a"), Path("/srv/b")]
    for text in ("model_config_list { colour: 1 }", "", "model_config_list { config { name: 'a' } }"):
        path.write_text(text)
        with pytest.raises(MammoError) as caught:
            read_models_config(path)
        assert caught.value.code == "config_wrong"
    config = text_format.Parse(
        "model_config_list { config { name: 'a' base_path: '/a' } config { name: 'a' base_path: '/b' } }",
        model_server_config_pb2.ModelServerConfig(),
    )
    with pytest.raises(MammoError, match="Illegal to list model a multiple times"):
        models_of(config)
    with pytest.raises(MammoError) as caught:
        read_models_config(tmp_path / "none.config")
    assert caught.value.code == "config_missing"


def test_batching_and_monitoring_files(tmp_path: Path) -> None:
    path = tmp_path / "some.config"
    path.write_text(
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 2500 }\nmax_enqueued_batches { value: 7 }\n"
        "num_batch_threads { value: 3 }\npad_variable_length_inputs: true\nallowed_batch_sizes: 128"
    )
    settings = read_batching_config(path)
    assert (settings.largest, settings.timeout_s, settings.waiting, settings.threads) == (128, 0.0025, 7, 3)
    path.write_text("max_batch_size { value: 0 }")
    with pytest.raises(MammoError, match="max_batch_size is 0, the least is 1"):
        read_batching_config(path)
    path.write_text('prometheus_config { enable: true path: "/metrics" }')
    assert read_monitoring_config(path) == "/metrics"
    path.write_text("prometheus_config { enable: true }")
    assert read_monitoring_config(path) == "/monitoring/prometheus/metrics"
    path.write_text("")
    assert read_monitoring_config(path) is None
