"""The ONNX twin of `serving_float`: the same inputs and outputs by the same names, for servers without TensorFlow.

Made by tf2onnx. A graph with an operation that ONNX does not have is written by it all the same, so what it wrote is
loaded with ONNX Runtime here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.serving.parts import Made
from mammo_tf.serving.signatures import FLOAT_SIGNATURE, serving_functions

FILE = "model.onnx"
OPSET = 18
Outputs = dict[str, NDArray[Any]]


def write(made: Made) -> dict[str, Any]:
    """Writes `model.onnx`; convolutions as Keras has them, since ONNX Runtime has ways of its own to compute these.

    Raises:
        MammoError: `onnx_refused` where ONNX Runtime does not load it, naming what ONNX does not have.
    """
    import tf2onnx  # these take seconds to load

    function = serving_functions(made.model, made.card, made.preprocessing, winograd=False)[0][FLOAT_SIGNATURE]
    path = made.extra / FILE
    with _told() as lines:
        tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=OPSET, output_path=str(path)
        )
    run = open_twin(path, [line for line in lines if "not supported" in line])
    run(_nothing(made))
    return {"file": FILE, "opset": OPSET, "made_by": f"tf2onnx {tf2onnx.__version__}"}


def open_twin(path: Path, said: list[str] | None = None) -> Callable[[Mapping[str, NDArray[Any]]], Outputs]:
    """A function from inputs to outputs, both by name.

    Args:
        path: of the file.
        said: what the converter complained of.

    Raises:
        MammoError: `onnx_refused`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own have no common class that it promises
        first = " ".join([*(said or []), str(error)])[:300]
        raise MammoError("onnx_refused", f"ONNX Runtime does not load {path.name}: {first}", REMEDY) from error
    names = [one.name for one in session.get_outputs()]

    def run(inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        return dict(zip(names, session.run(None, dict(inputs)), strict=True))

    return run


REMEDY = (
    "Write the network with operations that ONNX has (GELU as 0.5 x (1 + erf(x / sqrt 2)), not Keras' exact one), or "
    "export it with --saved-model-only"
)


def _nothing(made: Made) -> Outputs:
    """A black picture, which shows that the graph runs."""
    shape = (1, *(made.preprocessing.size or (0, 0)))
    breast = {"breast": np.ones(shape, np.bool_)} if made.preprocessing.needs_breast else {}
    return {"picture": np.zeros(shape, np.float32), **breast}


class _told(logging.Handler):  # noqa: N801  # a context manager
    """What tf2onnx logs, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.logger = logging.getLogger("tf2onnx")

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        self.logger.addHandler(self)
        self.logger.propagate = False
        return self.lines

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)
        self.logger.propagate = True
