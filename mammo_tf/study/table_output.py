"""Where `predict` and `features` may write their table: looked at before the work, which may take hours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json

REJECTS = "rejects.csv"


def rejects_of(output: Path) -> Path:
    """Where the files that a table could not take are listed: `scores_rejects.csv` next to `scores.csv`."""
    return output.with_name(f"{output.stem}_{REJECTS}")


def check_table_output(output: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Refuses a name at which a table, the two files next to it, and what was given would overwrite each other.

    Args:
        output: the table; `<name>.json` and `<name>_rejects.csv` lie next to it.
        inputs: files that are read.

    Raises:
        MammoError: `not_a_file` where the table or a file next to it is a folder, `not_a_csv`, `output_taken` for a
            name of rejects and where a foreign JSON file lies next to it, `output_is_input`.
    """
    if output.is_dir():
        raise MammoError("not_a_file", f"{output} is a folder", "Name a CSV file after -o")
    if output.suffix.lower() != ".csv":
        sentence = f"{output} is not a name of a CSV file: it does not end in .csv"
        raise MammoError("not_a_csv", sentence, "Name a CSV file after -o")
    if output.name.lower().endswith(REJECTS):
        sentence = f"{output} is a name of a list of files that cannot be used"
        raise MammoError("output_taken", sentence, "Give the table another name after -o")
    for beside in (output.with_suffix(".json"), rejects_of(output)):
        if beside.is_dir():
            raise MammoError("not_a_file", f"{beside}, which is written too, is a folder", "Choose another folder")
    if _of_something_else(output.with_suffix(".json")):
        sentence = f"{output.with_suffix('.json')} is something else, and would be overwritten with {output}"
        raise MammoError("output_taken", sentence, "Give the table another name after -o")
    for given in map(Path, inputs):
        for written in (output, rejects_of(output)):
            if _same(given, written):
                what = "" if written == output else f" with the list of rejects next to {output}"
                sentence = f"{given} is read, and would be overwritten{what}"
                raise MammoError("output_is_input", sentence, "Name another file after -o")


def _of_something_else(path: Path) -> bool:
    """Whether a JSON file is there that neither `predict` nor `features` left next to a table."""
    if not path.is_file():
        return False
    try:
        stored = read_json(path)
    except MammoError:
        return True
    return not isinstance(stored, dict) or not {"network", "extraction"} & set(stored)


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one is not there
        return first.resolve() == second.resolve()
