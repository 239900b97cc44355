"""Which network made a file of predictions: the JSON file next to it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, write_json
from mammo_tf.training import ModelCard

FORMAT = 1


def write_source(predictions: str | Path, card: ModelCard) -> None:
    """Writes `predictions.json` next to `predictions.csv`.

    Args:
        predictions: the CSV file, as it is now: of a changed one its neighbour tells nothing.
        card: of the network, sealed, as it scored.
    """
    network = {"weights": card.weights, "flips": card.flips, "identity": card.identity}
    told = {
        "format": FORMAT,
        "sha256": digest(predictions),
        "network": network,
        "threshold": card.threshold("image"),  # that the column decision was made with
    }
    write_json(Path(predictions).with_suffix(".json"), told)


def check_source(predictions: Sequence[str | Path], path: str | Path, card: ModelCard) -> tuple[str, ...]:
    """Compares a network with what lies next to predictions that it is said to have made.

    Args:
        predictions: CSV files.
        path: of the network, for messages.
        card: of the network, as for `write_source`.

    Returns:
        A line for each file that does not tell.

    Raises:
        MammoError: `network_differs`.
    """
    notes = []
    for file in map(Path, predictions):
        beside = file.with_suffix(".json")
        stored = read_json(beside) if beside.is_file() else {}
        known = isinstance(stored, dict) and file.is_file() and stored.get("sha256") == digest(file)
        network = stored.get("network") if known else None
        if not isinstance(network, dict) or not card.weights or not network.get("weights"):
            notes.append(f"nothing tells whether {path} made {file}: its scores are taken for its own")
            continue
        if network["weights"] != card.weights:
            sentence = f"{file} was scored by a network of other weights than {path}"
            raise MammoError("network_differs", sentence, "Score again with mammo-tf predict, or name that network")
        if bool(network.get("flips")) != card.flips:
            words = "with" if network.get("flips") else "without"
            sentence = f"{file} was scored {words} flips, and {path} scores the other way"
            raise MammoError("network_differs", sentence, "Score again with mammo-tf predict, without --flips")
        if network.get("identity", card.identity) != card.identity:
            sentence = f"{file} was scored by the weights of {path} with other preprocessing or other layers"
            raise MammoError("network_differs", sentence, "Score again with mammo-tf predict, or name that network")
    return tuple(notes)
