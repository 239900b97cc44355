"""The training of a Keras 2 file as a recipe file: one short page to be changed."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from mammo_tf.training.legacy_training import LegacyTraining
from mammo_tf.training.stages import Stage

UNQUOTABLE = r"[^ !#-\[\]-~]"  # but for printable ASCII without quotes and backslashes
PAGE = '''"""What {file} was trained with ({versions}), to train it on.

    mammo-tf run {recipe} --data prepared/target --start {model} -o runs/{name}

The state of the optimiser is not taken: it begins anew. What is not here as it was there:

{remarks}
"""

from mammo_tf.recipes import Phase, Preparation, Recipe
from mammo_tf.training import {imported}


def recipe() -> Recipe:
    """Everything is trained, in one stage."""
    return Recipe(
        name="{name}",
        about="The training of {file}, as the file tells it",
        needs_start=True,
        preparation=Preparation(preset="start", mean="start"),
        phases=(
            Phase(
                stages=(
                    Stage(
{stage}
                    ),
                )
            ),
        ),
    )
'''


def recipe_page(
    training: LegacyTraining, source: str | Path, versions: str, recipe: str | Path, model: str | Path
) -> str:
    """The text of a recipe file.

    Args:
        training: of the file.
        source: the file.
        versions: what wrote it, for a reader.
        recipe: where the page goes.
        model: where the network goes, which it starts from.
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", Path(source).stem).strip("_") or "imported"
    imported = ["Stage", *(["CyclicRate"] if training.stage.schedule else [])]
    return PAGE.format(
        file=_quotable(Path(source).name),
        versions=_quotable(versions),
        recipe=_quotable(Path(recipe).name),
        model=_quotable(Path(model).name),
        name=name,
        remarks="\n".join(f"- {_quotable(remark)}" for remark in training.remarks),
        imported=", ".join(sorted(imported)),
        stage="\n".join(f"                        {line}," for line in settings_of(training.stage)),
    )


def _quotable(text: str) -> str:
    """The text without what could end a quotation: it comes from a file of anyone, and stands in code."""
    return re.sub(UNQUOTABLE, "_", text)


def settings_of(stage: Stage) -> list[str]:
    """Each setting that is not the default, as Python has it."""
    values = {one.name: getattr(stage, one.name) for one in fields(stage) if getattr(stage, one.name) != one.default}
    return [f"{name}={value!r}" for name, value in values.items()]
