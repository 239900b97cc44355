"""All that a released bundle has next to its graph, in the order in which it is made, and what must be installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.serving import bill_of_materials, gate, onnx_twin, warm_up
from mammo_tf.serving.model_card_page import ModelCardPage
from mammo_tf.serving.parts import Made, Part
from mammo_tf.training import ModelCard
from mammo_tf.training.model_card import TERMS_NOT_TOLD

NEEDED = {
    "tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime", "tensorflow_serving": "tensorflow-serving-api",
    "cyclonedx_py": "cyclonedx-bom",
}  # fmt: skip
RECIPE, METRICS = "recipe.json", "metrics.json"
NOT_COMMERCIAL = re.compile(r"non[\s-]?commercial|\bnc\b|research (use )?only|academic use", re.IGNORECASE)


def parts(run: Path | None = None, intended_use: str = "") -> dict[str, Part]:
    """The parts of a release, by their names in `bundle.json`.

    Args:
        run: the run folder that is exported, whose recipe and metrics go along; None for a model file alone.
        intended_use: in the words of whoever exports.

    Raises:
        MammoError: `extra_missing` where a package that makes one of them is not installed; `json_broken`.
    """
    lacking = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if lacking:
        raise MammoError(
            "extra_missing", f"a release is made with {', '.join(lacking)}, not installed here",
            "pip install 'mammo_tf[release]', or leave all of it out with --saved-model-only",
        )  # fmt: skip
    names = (RECIPE, METRICS)
    copied: dict[str, Part] = {
        Path(name).stem: Copied(run / name) for name in names if run is not None and (run / name).is_file()
    }
    return copied | {
        "warm_up": warm_up.write,
        "onnx": onnx_twin.write,
        "checks": gate.check,
        "bill_of_materials": bill_of_materials.write,
        **page_alone(run, intended_use),
    }


def page_alone(run: Path | None = None, intended_use: str = "") -> dict[str, Part]:
    """The model card as a page, which any bundle has; arguments as for `parts`."""
    metrics = read_json(run / METRICS) if run is not None and (run / METRICS).is_file() else {}
    return {"model_card": ModelCardPage(metrics, intended_use)}


@dataclass(frozen=True)
class Copied:
    """A JSON file that goes along as it is."""

    path: Path

    def __call__(self, made: Made) -> dict[str, Any]:
        write_json(made.extra / self.path.name, read_json(self.path))
        return {"file": self.path.name}


def check_commercial(card: ModelCard) -> None:
    """Refuses to call a model fit for commercial use where the terms of its training data do not allow it.

    Raises:
        MammoError: `terms_forbid`; `terms_unknown` where the card tells none, or not those of all data.
    """
    against = [one for one in card.terms if NOT_COMMERCIAL.search(one)]
    if against:
        sentence = f"the model was trained on data whose terms forbid commercial use: {'; '.join(against)}"
        raise MammoError("terms_forbid", sentence, "Leave --commercial out, or train without these data")
    if not card.terms or TERMS_NOT_TOLD in card.terms:
        what = "the terms of a part of the data" if card.terms else "the terms of the data"
        remedy = "Say in the manifest's column terms under what its pictures may be used, train again"
        raise MammoError("terms_unknown", f"the model does not tell {what} it was trained on", remedy)
