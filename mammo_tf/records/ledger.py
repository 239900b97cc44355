"""The ledger of a study: every measurement of its test split, in its folder. Who measures often chooses on test."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mammo_tf.claims import locked
from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json
from mammo_tf.files import write_text
from mammo_tf.json_text import parsed_json

LEDGER = "test_ledger.jsonl"
WRITING = ("disk_full", "read_only", "not_a_folder", "not_a_file")  # codes of `files.disk_errors`


@dataclass(frozen=True)
class Measurement:
    """One model measured on one set of test images.

    Attributes:
        model: identity of the model (`ModelCard.identity`).
        test: digest of the images that were measured.
        recipe: its name.
        run: name of the folder that holds the numbers.
        images: how many.
    """

    model: str
    test: str
    recipe: str
    run: str
    images: int


def enter(folder: Path, measurement: Measurement) -> None:
    """Adds a line to the ledger of a data folder, unless the same model was measured on the same images before.

    Raises:
        MammoError: `ledger_damaged`, `ledger_closed` where the folder cannot be written.
    """
    path = folder / LEDGER
    try:
        with locked(folder / f".{LEDGER}.lock", path):
            if any((one.model, one.test) == (measurement.model, measurement.test) for one in entries(folder)):
                return
            when = datetime.now(UTC).isoformat(timespec="seconds")
            before = path.read_text(encoding="utf-8") if path.is_file() else ""
            line = json.dumps({"when": when, **asdict(measurement)})
            write_text(path, f"{before.rstrip()}\n{line}\n".lstrip())
    except OSError as error:
        raise _closed(path, error.strerror or "") from error
    except MammoError as error:
        if error.code not in WRITING:
            raise
        raise _closed(path, error.sentence) from error


def _closed(path: Path, why: str) -> MammoError:
    sentence = f"{path} cannot be written ({why}), so this measurement of test is not counted"
    return MammoError("ledger_closed", sentence, "Make the data folder writable")


def entries(folder: Path) -> list[Measurement]:
    """The measurements of the test split of a data folder, oldest first.

    Raises:
        MammoError: `ledger_damaged` with the line.
    """
    path = folder / LEDGER
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = parsed_json(line.decode())
            found.append(from_json(Measurement, {name: row[name] for name in Measurement.__dataclass_fields__}))
        except (ValueError, TypeError, KeyError, MammoError) as error:
            sentence = f"{path}, line {number} is not a measurement"
            raise MammoError("ledger_damaged", sentence, "Remove the line, and say so where you report") from error
    return found
