"""What a server is told: TensorFlow Serving's own configuration files, and folders named one by one.

The files are text protos. `ModelServerConfig` is in `tensorflow-serving-api`; of `BatchingParameters` and
`MonitoringConfig`, which that package leaves out, the fields are declared here as TensorFlow Serving's
`session_bundle_config.proto` and `monitoring_config.proto` have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from mammo_tf.errors import MammoError
from mammo_tf.serving.batching import BatchSettings
from mammo_tf.serving.bundle import GRAPH
from mammo_tf.serving.version_folders import is_number, version_folders

IN_CONTAINER = PurePosixPath("/models")  # where the image of TensorFlow Serving has its models
METRICS_PATH = "/monitoring/prometheus/metrics"
PLATFORM = "tensorflow"


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions of a model are served.

    Attributes:
        latest: how many of the highest numbers; None for all.
        specific: these, and no other.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def chosen(self, there: Sequence[int]) -> list[int]:
        """Of the versions that are there, in order, those to serve."""
        if self.specific:
            return [number for number in there if number in self.specific]
        return list(there) if self.latest is None else list(there[-self.latest :])


@dataclass(frozen=True)
class ModelSettings:
    """A model to serve.

    Attributes:
        name: as clients call it.
        folder: of its versions (`folder/1/saved_model.pb`), or a SavedModel itself.
        policy: which versions.
        labels: to numbers of versions.
    """

    name: str
    folder: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def models_in(folders: Sequence[str | Path], name: str | None = None) -> tuple[ModelSettings, ...]:
    """Models to serve, of folders that were named: a version, a model with its versions, or several models.

    Args:
        folders: one or more.
        name: of the model, where there is one; by default that of its folder.

    Raises:
        MammoError: `model_missing`, `not_a_saved_model`; `option_wrong` for one name and several models;
            `model_repeated` for two of one name.
    """
    found: list[ModelSettings] = []
    for folder in map(Path, folders):
        resolved = folder.resolve()
        if not folder.is_dir():
            kind = "not a folder" if folder.exists() else "not there"
            raise MammoError("model_missing", f"the model {folder} is {kind}", "Write one with mammo-tf export")
        if (folder / GRAPH).is_file():
            own = resolved.parent.name if is_number(resolved.name) else resolved.name
            found.append(ModelSettings(own, folder))
        elif version_folders(folder):
            found.append(ModelSettings(resolved.name, folder))
        else:
            inner = sorted(path for path in folder.iterdir() if path.is_dir() and version_folders(path))
            if not inner:
                sentence = f"{folder} holds no SavedModel, neither in a folder of a version (1, 2 ...)"
                raise MammoError("not_a_saved_model", sentence, "Write one with mammo-tf export")
            found += [ModelSettings(path.name, path) for path in inner]
    if name is not None:
        if len(found) != 1:
            raise MammoError("option_wrong", f"--name is given, and there are {len(found)} models", "Leave it out")
        found = [ModelSettings(name, found[0].folder)]
    return checked_models(found)


def checked_models(found: Sequence[ModelSettings]) -> tuple[ModelSettings, ...]:
    """The models, if no two have one name."""
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MammoError("model_repeated", f"Illegal to list model {twice} multiple times in config list", "Rename one")
    return tuple(found)


def read_models_config(path: str | Path, root: str | Path | None = None) -> tuple[ModelSettings, ...]:
    """The models of a `models.config`; errors as `models_of`, and `config_wrong`."""
    config = _parsed(path, model_server_config_pb2.ModelServerConfig())
    if not config.HasField("model_config_list"):
        raise MammoError("config_wrong", f"{path} has no model_config_list", "See deploy/models.config")
    return models_of(config, root)


def models_of(config: Any, root: str | Path | None = None) -> tuple[ModelSettings, ...]:
    """The models of a `ModelServerConfig`.

    Args:
        config: with a `model_config_list`.
        root: the folder that a container sees as `/models`, and that relative paths start from; by default paths are
            taken as they are.

    Raises:
        MammoError: `config_wrong` for another platform than `tensorflow`, or no name or path; `model_repeated`.
    """
    found = []
    for one in config.model_config_list.config:
        if not one.name or not one.base_path:
            raise MammoError(
                "config_wrong", f"a model of the configuration has no {'base_path' if one.name else 'name'}"
            )
        if one.model_platform not in ("", PLATFORM):
            sentence = f"model {one.name} requests the platform {one.model_platform!r}; known is {PLATFORM!r}"
            raise MammoError("config_wrong", sentence)
        labels = dict(one.version_labels)
        found.append(ModelSettings(one.name, _placed(one.base_path, root), _policy(one.model_version_policy), labels))
    return checked_models(found)


def _placed(base_path: str, root: str | Path | None) -> Path:
    path = PurePosixPath(base_path)
    if root is None:
        return Path(path)
    return Path(root) / (path.relative_to(IN_CONTAINER) if path.is_relative_to(IN_CONTAINER) else path)


def _policy(told: Any) -> VersionPolicy:
    match told.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            return VersionPolicy(specific=tuple(told.specific.versions))
        case _:
            return VersionPolicy(latest=told.latest.num_versions or 1)


def read_batching_config(path: str | Path) -> BatchSettings:
    """The settings of a `batching.config`; what it does not say is as by default.

    Raises:
        MammoError: `config_wrong`, for values out of range too.
    """
    told, default = _parsed(path, _messages()["BatchingParameters"]()), BatchSettings()

    def value(name: str, otherwise: int, least: int) -> int:
        number = getattr(told, name).value if told.HasField(name) else otherwise
        if number < least:
            raise MammoError("config_wrong", f"{path}: {name} is {number}, the least is {least}")
        return number

    return BatchSettings(
        largest=value("max_batch_size", default.largest, 1),
        timeout_s=value("batch_timeout_micros", round(default.timeout_s * 1e6), 0) / 1e6,
        threads=value("num_batch_threads", default.threads, 1),
        waiting=value("max_enqueued_batches", default.waiting, 1),
    )


def read_monitoring_config(path: str | Path) -> str | None:
    """The path of the metrics that a `monitoring.config` names; None where it does not enable them."""
    told = _parsed(path, _messages()["MonitoringConfig"]()).prometheus_config
    return (told.path or METRICS_PATH) if told.enable else None


def _parsed(path: str | Path, message: Any) -> Any:
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except OSError as error:
        raise MammoError("config_missing", f"{path} cannot be read: {error.strerror}", "Name another file") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        sentence = f"Invalid protobuf file: '{path}': {str(error).rstrip('.')}"
        raise MammoError("config_wrong", sentence, "See the files in deploy/") from error


@cache
def _messages() -> Mapping[str, Any]:
    """The classes of `BatchingParameters` and `MonitoringConfig`."""
    kind = descriptor_pb2.FieldDescriptorProto
    own, wrapped = ".mammo_tf.serving.", ".google.protobuf."
    declared: dict[str, list[tuple[str, int, Any, str]]] = {
        "BatchingParameters": [
            ("max_batch_size", 1, kind.TYPE_MESSAGE, f"{wrapped}Int64Value"),
            ("batch_timeout_micros", 2, kind.TYPE_MESSAGE, f"{wrapped}Int64Value"),
            ("max_enqueued_batches", 3, kind.TYPE_MESSAGE, f"{wrapped}Int64Value"),
            ("num_batch_threads", 4, kind.TYPE_MESSAGE, f"{wrapped}Int64Value"),
            ("thread_pool_name", 5, kind.TYPE_MESSAGE, f"{wrapped}StringValue"),
            ("allowed_batch_sizes", 6, kind.TYPE_INT64, ""),
            ("pad_variable_length_inputs", 7, kind.TYPE_BOOL, ""),
        ],
        "PrometheusConfig": [("enable", 1, kind.TYPE_BOOL, ""), ("path", 2, kind.TYPE_STRING, "")],
        "MonitoringConfig": [("prometheus_config", 1, kind.TYPE_MESSAGE, f"{own}PrometheusConfig")],
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="mammo_tf/serving.proto", package="mammo_tf.serving", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in declared.items():
        message = file.message_type.add(name=name)
        for field_name, number, field_kind, type_name in fields:
            label = kind.LABEL_REPEATED if field_name == "allowed_batch_sizes" else kind.LABEL_OPTIONAL
            one = message.field.add(name=field_name, number=number, type=field_kind, label=label)
            if type_name:
                one.type_name = type_name
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"mammo_tf.serving.{name}"))
        for name in declared
    }
