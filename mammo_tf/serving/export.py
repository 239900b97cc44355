"""A model to a bundle: a SavedModel from encoded pictures to named outputs, and next to it what is known of it.

`signatures` says what the graph takes and gives. `metadata` beside them: `asked`, string `[batch]`, whatever it says;
`card`, string `[batch]`, is the model card as JSON each time, without the hashes of the patients that it knows. A model
of patches or tiles with steps that run on whole pictures has `serving_float` alone; `bundle.json` lists them under
`whole_steps`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import digest, source_revision, write_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.serving.bundle_place import DESCRIPTION, FORMAT, METADATA, check_name, next_version, sealed
from mammo_tf.serving.parts import Made, Part
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.signature_gap import SignatureGap, measure_gap
from mammo_tf.serving.signatures import (
    CUT,
    FLOAT_SIGNATURE,
    PNG_SIGNATURE,
    check_repeatable,
    check_servable,
    sees_pieces,
    served_card,
    serving_functions,
    whole_steps,
)
from mammo_tf.training import ModelCard, ModelFile, Threshold

Tensor = Any


def export_bundle(
    model_file: ModelFile,
    root: str | Path = "saved_models",
    name: str = "end2end",
    thresholds: Sequence[Threshold] | None = None,
    flips: bool | None = None,
    winograd: bool | None = None,
    validation: Sequence[Candidate] = (),
    allow_gap: bool = False,
    parts: Mapping[str, Part] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes `root/name/<version>/`, version being the next whole number; whole or not there.

    Variables are stored once. Exports at the same time get versions of their own.

    Args:
        model_file: a model and its card, as `training.load_model` gives it.
        root: folder of all bundles.
        name: of the model, as TensorFlow Serving is told; letters, digits, `_`, `-` and `.`.
        thresholds: operating points, by level; by default those of the card.
        flips: outputs are the mean over the picture as it is, left-right, up-down and both; four times the work; by
            default as the card says. A heat map is that of the picture as it is.
        winograd: compute convolutions of many channels by `models.with_winograd`: the same scores to 1e-6 in less time
            on a CPU, in plain operations that every loader of SavedModels has. False for a server with a GPU; by
            default True where TensorFlow sees no GPU. `bundle.json` says which.
        validation: pictures of validation, on which both signatures are compared (`signature_gap`). What was found
            stands in `bundle.json`; nothing, where there are no pictures.
        allow_gap: write `serving_default` even where its scores are not those that were measured. Thresholds then say
            that they are for `serving_float` alone.
        parts: what lies next to the graph, each by the name under which `bundle.json` has what it found;
            `release.parts` gives all of a release. What a part refuses is not written at all.
        say: is told the gap, and what a part has to say.

    Returns:
        The version's folder.

    Raises:
        MammoError: `preprocessing_missing`, `size_open` or `size_differs` where the preprocessing does not end in the
            size that the model takes, `outputs_wrong` for a model whose outputs are not its task's, `scores_random` for
            one that would give the same picture another score the next time, `name_wrong`, `disk_full`, `read_only`;
            those of the parts.
    """
    check_name(name)
    preprocessing = check_servable(model_file)
    check_repeatable(model_file.model)
    if winograd is None:
        winograd = not tf.config.list_physical_devices("GPU")
    card = served_card(model_file, thresholds, flips)
    served = _served(model_file, card, preprocessing, winograd, validation, allow_gap, say)
    described = {
        "format": FORMAT,
        "name": name,
        "input_size": list(preprocessing.size or ()),
        "card": served.card.to_json(),
        "whole_steps": whole_steps(card),
        "graph_preprocessing": preprocessing.to_json(),
        "winograd": winograd,
        "gap": None if served.gap is None else to_json(served.gap),
        "signatures": {key: _described(function) for key, function in served.signatures.items()},
        "versions": {package: installed_version(package) for package in ("mammo_tf", "tensorflow", "keras")},
        "revision": source_revision(),
    }
    with next_version(Path(root) / name) as place:
        try:
            _save(place.folder, served)
            made = Made(
                place.folder, name, model_file.model, served.card, preprocessing, served.signatures, served.gap,
                described, validation, say,
            )  # fmt: skip
            for key, part in (parts or {}).items():
                described[key] = part(made)
        except tf.errors.ResourceExhaustedError as error:
            raise MammoError("disk_full", f"no space left to write {root}", "Free some space, run again") from error
        files = sorted(path for path in place.folder.rglob("*") if path.is_file())
        digests = {path.relative_to(place.folder).as_posix(): digest(path) for path in files}
        write_json(place.folder / DESCRIPTION, sealed({**described, "digests": digests}))
    return place.folder


class _Served(NamedTuple):
    """What the graph will hold, its card, and the gap between its signatures where that is known."""

    signatures: dict[str, Any]
    variables: list[tf.Variable]
    card: ModelCard
    gap: SignatureGap | None


def _served(
    model_file: ModelFile,
    card: ModelCard,
    preprocessing: Preprocessing,
    winograd: bool,
    validation: Sequence[Candidate],
    allow_gap: bool,
    say: Callable[[str], None],
) -> _Served:
    """The signatures; `serving_default` goes, or its decisions, where its scores cannot stand for those measured."""
    signatures, variables = serving_functions(model_file.model, card, preprocessing, winograd)
    gap, has_png = None, not whole_steps(card)
    if has_png:
        pictures = () if sees_pieces(card) else validation  # whole ones, which a model of pieces does not look at
        gap = _gap(signatures, preprocessing, pictures, card.threshold("image"), say)
    else:
        say(f"the bundle has no {PNG_SIGNATURE}: {CUT}")
    if not has_png or (gap is not None and gap.is_large):
        card = replace(card, thresholds=tuple(replace(one, signature=FLOAT_SIGNATURE) for one in card.thresholds))
        signatures, variables = serving_functions(model_file.model, card, preprocessing, winograd)
    if gap is not None and gap.is_large and not allow_gap:
        say("that is too much: the bundle has no serving_default; --allow-gap puts it in nevertheless")
        has_png = False
    if not has_png:
        del signatures[PNG_SIGNATURE]
    return _Served({**signatures, METADATA: _metadata(card)}, variables, card, gap)


def _metadata(card: ModelCard) -> Any:
    """The function behind `metadata`. It takes something, because servers that batch want a first axis."""
    told = json.dumps(replace(card, patients=()).to_json())

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="asked")])
    def metadata(asked: Tensor) -> dict[str, Tensor]:
        return {"card": tf.fill(tf.shape(asked), told)}

    return metadata


def _save(folder: Path, served: _Served) -> None:
    module = tf.Module()
    module.variables_once = served.variables  # a module that holds the Keras model would write each of them twice
    tf.saved_model.save(module, str(folder), signatures=served.signatures)


def _gap(
    signatures: dict[str, Any],
    preprocessing: Preprocessing,
    validation: Sequence[Candidate],
    threshold: float | None,
    say: Callable[[str], None],
) -> SignatureGap | None:
    gap = measure_gap(signatures, preprocessing, validation, threshold) if validation else None
    why = f"none of {len(validation)} validation images can be read" if validation else "no validation images are there"
    unknown = f"how far serving_default is from the full preprocessing is unknown: {why} (--data names them)"
    say(unknown if gap is None else gap.words)
    return gap


def _described(function: Any) -> dict[str, dict[str, Any]]:
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in function.input_signature}
    return {
        side: {key: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for key, spec in named.items()}
        for side, named in (("inputs", inputs), ("outputs", concrete.structured_outputs))
    }
