"""TensorFlow's C interface, as TensorFlow Serving loads a bundle: in a process of its own, without Python's TensorFlow.

`run` asks a SavedModel there. The child process is this file; it loads the shared libraries of the installed package.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
KINDS = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 10: np.bool_}  # of TF_DataType
STRING, STRING_BYTES = 7, 24  # TF_STRING, and the size of a TF_TString
LIMIT_S = 600


def run(folder: Path, signature: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What a signature of a SavedModel gives for some inputs, by TensorFlow's C interface, one after the other.

    Args:
        folder: of the SavedModel.
        signature: its name.
        inputs: by name, of one first axis each; numbers, or bytes objects (dtype object) for strings.

    Returns:
        Outputs by name; those of strings are left out.

    Raises:
        MammoError: `c_loader_failed` with what TensorFlow said.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    described = saved.meta_graphs[0].signature_def[signature]
    with tempfile.TemporaryDirectory() as place:
        asked, answered = Path(place) / "asked.npz", Path(place) / "answered.npz"
        lengths = {name: [len(one) for one in given] for name, given in inputs.items() if given.dtype == object}
        arrays = {
            name: np.frombuffer(b"".join(given.tolist()), np.uint8) if name in lengths else given
            for name, given in inputs.items()
        }
        np.savez(asked, **arrays)  # type: ignore[arg-type]  # its stub knows one keyword
        told = {
            "libraries": [str(Path(tf.sysconfig.get_lib()) / name) for name in LIBRARIES],
            "folder": str(folder),
            "inputs": {name: described.inputs[name].name for name in inputs},
            "outputs": {name: info.name for name, info in described.outputs.items() if info.dtype != STRING},
            "lengths": lengths,
        }
        command = [sys.executable, __file__, json.dumps(told), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise MammoError("c_loader_failed", f"TensorFlow's C loader does not run {folder.name}: {said}")
        with np.load(answered) as found:
            return {name: found[name] for name in found.files}


class _Library:
    """The few functions of `tensorflow/c/c_api.h` that are needed."""

    def __init__(self, paths: list[str]) -> None:
        for path in paths:
            self.c = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        pointers = (
            "TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel TF_GraphOperationByName "
            "TF_AllocateTensor TF_TensorData"
        )
        for name in pointers.split():
            getattr(self.c, name).restype = ctypes.c_void_p
        self.c.TF_Message.restype = ctypes.c_char_p
        self.c.TF_Dim.restype = ctypes.c_int64
        self.c.TF_TensorByteSize.restype = ctypes.c_size_t
        self.status = ctypes.c_void_p(self.c.TF_NewStatus())

    def check(self) -> None:
        if self.c.TF_GetCode(self.status):
            sys.exit(self.c.TF_Message(self.status).decode(errors="replace").replace("\n", " "))

    def tensor(self, values: NDArray[Any]) -> ctypes.c_void_p:
        kind = next(number for number, known in KINDS.items() if known == values.dtype)
        sizes = (ctypes.c_int64 * values.ndim)(*values.shape)
        size = ctypes.c_size_t(values.nbytes)
        made = ctypes.c_void_p(self.c.TF_AllocateTensor(kind, sizes, values.ndim, size))
        ctypes.memmove(self.c.TF_TensorData(made), np.ascontiguousarray(values).ctypes.data, values.nbytes)
        return made

    def strings(self, values: list[bytes]) -> ctypes.c_void_p:
        sizes = (ctypes.c_int64 * 1)(len(values))
        made = ctypes.c_void_p(self.c.TF_AllocateTensor(STRING, sizes, 1, ctypes.c_size_t(STRING_BYTES * len(values))))
        for number, value in enumerate(values):
            place = ctypes.c_void_p(self.c.TF_TensorData(made) + STRING_BYTES * number)
            self.c.TF_StringInit(place)
            self.c.TF_StringCopy(place, value, ctypes.c_size_t(len(value)))
        return made

    def array(self, tensor: ctypes.c_void_p) -> NDArray[Any]:
        kind = KINDS[self.c.TF_TensorType(tensor)]
        shape = [self.c.TF_Dim(tensor, axis) for axis in range(self.c.TF_NumDims(tensor))]
        data = ctypes.string_at(self.c.TF_TensorData(tensor), self.c.TF_TensorByteSize(tensor))
        return np.frombuffer(data, kind).reshape(shape)  # a copy: the tensor may go


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def _child(told: dict[str, Any], asked: str, answered: str) -> None:
    library = _Library(told["libraries"])
    graph, options = ctypes.c_void_p(library.c.TF_NewGraph()), ctypes.c_void_p(library.c.TF_NewSessionOptions())
    tags = (ctypes.c_char_p * 1)(b"serve")
    session = ctypes.c_void_p(
        library.c.TF_LoadSessionFromSavedModel(
            options, None, told["folder"].encode(), tags, 1, graph, None, library.status
        )
    )
    library.check()

    def places(names: dict[str, str]) -> Any:
        parts = [name.split(":") for name in names.values()]
        return (_Output * len(parts))(
            *(_Output(library.c.TF_GraphOperationByName(graph, part[0].encode()), int(part[1])) for part in parts)
        )

    given, wanted = places(told["inputs"]), places(told["outputs"])
    with np.load(asked) as arrays:
        rows = [_rows(arrays[name], told["lengths"].get(name)) for name in told["inputs"]]
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in told["outputs"]}
    for row in zip(*rows, strict=True):  # one at a time: a batch of full size would take gigabytes
        tensors = [library.strings([one]) if isinstance(one, bytes) else library.tensor(one) for one in row]
        results = (ctypes.c_void_p * len(wanted))()
        library.c.TF_SessionRun(
            session, None, given, (ctypes.c_void_p * len(tensors))(*tensors), len(tensors),
            wanted, results, len(wanted), None, 0, None, library.status,
        )  # fmt: skip
        library.check()
        for name, result in zip(told["outputs"], results, strict=True):
            found[name].append(library.array(ctypes.c_void_p(result)))
        for tensor in (*tensors, *map(ctypes.c_void_p, results)):
            library.c.TF_DeleteTensor(tensor)
    np.savez(answered, **{name: np.concatenate(parts) for name, parts in found.items()})  # type: ignore[arg-type]


def _rows(values: NDArray[Any], lengths: list[int] | None) -> list[Any]:
    """The entries of the first axis: arrays whose first axis is 1, or bytes where lengths of strings are told."""
    if lengths is None:
        return [values[number : number + 1] for number in range(len(values))]
    whole, ends = values.tobytes(), np.cumsum(lengths).tolist()
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3])
