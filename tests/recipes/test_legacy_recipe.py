"""The page that a Keras 2 file's training becomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_tf.recipes import load_recipe
from mammo_tf.recipes.legacy_recipe import recipe_page
from mammo_tf.training import CyclicRate, LegacyTraining, Stage

STAGE = Stage("imported", ("all",), 1e-4, 10, weight_decay=0.018, decay="decoupled", optimizer="lamb", keep="val_f1")


@pytest.mark.parametrize("stage", [STAGE, replace(STAGE, rate_patience=0, schedule=CyclicRate(1e-3, 5, "triangular2"))])
def test_the_page_is_a_recipe_with_this_stage(stage: Stage, tmp_path: Path) -> None:
    page = recipe_page(LegacyTraining(stage, ("a remark",)), "my model.h5", "written by Keras 2.15", "r.py", "m.keras")
    (tmp_path / "r.py").write_text(page)
    recipe = load_recipe(tmp_path / "r.py")
    assert recipe.stages == (stage,)
    assert (recipe.name, recipe.needs_start, recipe.preparation.preset) == ("my_model", True, "start")
    assert "- a remark\n" in page
    assert "mammo-tf run r.py --data prepared/target --start m.keras -o runs/my_model" in page


def test_words_of_the_file_stay_words(tmp_path: Path) -> None:
    """Names and remarks come from a file of anyone: none of them ends a quotation."""
    evil = '"""\nraise SystemExit\n"""\\"; raise SystemExit {name} \u2028'
    page = recipe_page(LegacyTraining(STAGE, (evil,)), f"{evil}.h5", evil, "r.py", f"{evil}.keras")
    (tmp_path / "r.py").write_text(page)
    assert load_recipe(tmp_path / "r.py").stages == (STAGE,)
