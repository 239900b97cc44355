"""Which network made a file of predictions: the JSON file beside it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, write_json

FORMAT = 1


def write_source(predictions: str | Path, weights: str, flips: bool) -> None:
    """Writes `predictions.json` beside `predictions.csv`.

    Args:
        predictions: the CSV file, as it is now: of a changed one its neighbour tells nothing.
        weights: `models.weights_digest` of the network.
        flips: whether scores are means over flips.
    """
    told = {"format": FORMAT, "sha256": digest(predictions), "network": {"weights": weights, "flips": flips}}
    write_json(Path(predictions).with_suffix(".json"), told)


def check_source(predictions: Sequence[str | Path], path: str | Path, weights: str, flips: bool) -> tuple[str, ...]:
    """Compares a network with what lies beside predictions that it is said to have made.

    Args:
        predictions: CSV files.
        path: of the network, for messages.
        weights, flips: of the network, as for `write_source`; weights empty where they are not known.

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
        if not isinstance(network, dict) or not weights or not network.get("weights"):
            notes.append(f"nothing tells whether {path} made {file}: its scores are taken for its own")
            continue
        if network["weights"] != weights:
            sentence = f"{file} was scored by a network of other weights than {path}"
            raise MammoError("network_differs", sentence, "Score again with mammo-tf predict, or name that network")
        if bool(network.get("flips")) != flips:
            words = "with" if network.get("flips") else "without"
            sentence = f"{file} was scored {words} flips, and {path} scores the other way"
            raise MammoError("network_differs", sentence, "Score again with mammo-tf predict, without --flips")
    return tuple(notes)
