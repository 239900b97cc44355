"""A model on a server as one that gives scores: what `mammo-tf client` puts in the place of a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.steps import checked_breast
from mammo_tf.serving.bundle import NOTHING, Scored
from mammo_tf.serving.bundle_place import METADATA
from mammo_tf.serving.client import Client
from mammo_tf.serving.scorer import Scorer, open_scorer
from mammo_tf.serving.signatures import FLOAT_SIGNATURE, PNG_SIGNATURE
from mammo_tf.training import ModelCard

MOST_BYTES = 32 * 2**20  # of pictures in one request
BREAST = "breast"
NAME_BUNDLE = "Name the bundle that it serves (--bundle saved_models/NAME)"


def remote_scorer(client: Client, bundle: str | Path | None = None, encoded: bool = False) -> Scorer:
    """A model on a server, with its card.

    Args:
        client: knows the model.
        bundle: the same model here: a bundle, a `.keras` file or a run folder, whose card and preprocessing are used;
            by default the card that the server's signature `metadata` gives.
        encoded: send PNG files to `serving_default`, which prepares them; by default prepared pictures to
            `serving_float`, whose scores are those of `predict`.

    Raises:
        MammoError: `card_missing` where neither tells it; `server_differs` where both do, and of different models;
            those of `Client.predict` and `open_scorer`.
    """
    told = _card_of(client)
    signature = PNG_SIGNATURE if encoded else FLOAT_SIGNATURE
    if signature not in client.signatures():
        other = FLOAT_SIGNATURE if encoded else PNG_SIGNATURE
        remedy = f"Ask {other} ({'leave out' if encoded else 'add'} --encoded)" if other in client.signatures() else ""
        raise MammoError("signature_unknown", f"{client.model} at {client.server} has no signature {signature}", remedy)
    score = _Remote(client)
    if bundle is None:
        if told is None or told.preprocessing is None:
            sentence = f"{client.model} at {client.server} does not tell its card"
            raise MammoError("card_missing", sentence, NAME_BUNDLE)
        place = Path(client.model.name)
        return Scorer(place, told.preprocessing, told, score, score.encoded if encoded else None)
    local = open_scorer(bundle)
    if told is not None and told.identity != local.card.identity:
        sentence = f"{client.server} serves another {client.model} than {local.path}: weights or preprocessing differ"
        raise MammoError("server_differs", sentence, "Name the bundle that it serves, or a version or label of it")
    return replace(local, score=score, score_encoded=score.encoded if encoded else None)


class _Remote:
    """Pictures to scores, a request for each `MOST_BYTES`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, pictures: NDArray[np.float32], breast: ArrayLike | None = None) -> Scored:
        values = np.asarray(pictures, np.float32)
        masks = None
        if BREAST in self._client.signatures()[FLOAT_SIGNATURE].inputs:
            masks = checked_breast(breast, values.shape)
        answers = []
        for part in _parts([one.nbytes for one in values]):
            inputs: dict[str, Any] = {"picture": values[part]}
            if masks is not None:
                inputs[BREAST] = masks[part]
            answers.append(self._client.predict(inputs, FLOAT_SIGNATURE))
        return _joined(answers)

    def encoded(self, pictures: Sequence[bytes]) -> Scored:
        """PNG files to scores."""
        return _joined([self._client.score_png(pictures[part]) for part in _parts([len(one) for one in pictures])])


def _parts(sizes: Sequence[int]) -> Iterator[slice]:
    """Slices of neighbours that together have `MOST_BYTES` at most, of one in any case."""
    start, total = 0, 0
    for number, size in enumerate(sizes):
        if number > start and total + size > MOST_BYTES:
            yield slice(start, number)
            start, total = number, 0
        total += size
    if sizes:
        yield slice(start, len(sizes))


def _joined(answers: Sequence[Any]) -> Scored:
    if not answers:
        return NOTHING
    return Scored({name: np.concatenate([one[name] for one in answers]) for name in answers[0]})


def _card_of(client: Client) -> ModelCard | None:
    """The card that a server tells; None where it tells none."""
    if METADATA not in client.signatures():
        return None
    asked = np.array([b""], object)
    (name,) = client.signatures()[METADATA].inputs
    answer = client.predict({name: asked}, METADATA)
    try:
        return ModelCard.from_json(json.loads(answer["card"].ravel()[0]))
    except (KeyError, IndexError, ValueError) as error:
        sentence = f"{client.server} tells a card of {client.model} that cannot be read"
        raise MammoError("card_missing", sentence, NAME_BUNDLE) from error
