"""The one exception that bad input raises."""

from __future__ import annotations


class MammoError(Exception):
    """Bad input, told in one line: what is wrong and where, and what to do about it.

    Args:
        code: short stable name of the kind of error, lower case with underscores (`column_missing`).
        sentence: what is wrong and where, without a final full stop.
        remedy: what to do about it; may be empty.

    The command line prints it as one line and exits with 2. Names, birth dates and free text read from a
    file never enter a sentence.
    """

    def __init__(self, code: str, sentence: str, remedy: str = "") -> None:
        self.code = code
        self.sentence = " ".join(sentence.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(code, sentence, remedy)

    def __str__(self) -> str:
        return f"{self.sentence}. {self.remedy}" if self.remedy else self.sentence
