"""Whether pictures are like those that a model was trained on, by what tables and headers say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mammo_tf.training import TrainingDomain

COMPARED = {"modality": "", "manufacturer": "by ", "model_name": "of the model ", "site": "from site "}
NAMED = 3  # values; of more it is said how many


def foreign(rows: Sequence[Mapping[str, Any]], domain: TrainingDomain) -> list[str]:
    """What a model never saw in training, in one line; nothing where all is known, or where one side does not tell.

    Args:
        rows: of the manifest, or of headers.
        domain: of the model.
    """
    parts = []
    for column, word in COMPARED.items():
        trained = {value.casefold().strip(): value for value in domain.counts.get(column, {})}
        told = Counter(str(row.get(column) or "").strip() for row in rows)
        other = Counter({value: count for value, count in told.items() if value and value.casefold() not in trained})
        if trained and other:
            values = [value for value, _ in other.most_common()]
            parts.append(
                f"{other.total()} of {len(rows)} pictures are {word}{_listed(values)}; "
                f"the model was trained on {_listed(list(trained.values()))}"
            )
    return [". ".join(parts)] if parts else []


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return ", ".join(values[:NAMED]) + more
