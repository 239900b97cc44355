"""A run folder whose recipe is lost or damaged: what is told, and what `--overwrite` makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.run_folder import claim
from mammo_tf.training.tasks import Segmentation

RECIPE = Recipe("a", "a run")


def refusal(folder: Path, overwrite: bool = False) -> str:
    with pytest.raises(MammoError) as caught, claim(folder, RECIPE, {}, overwrite):
        pass
    return f"{caught.value.code}: {caught.value}"


@pytest.mark.parametrize("content", [None, "", "null", "{}", '{"recipe": '])
def test_a_run_without_its_recipe(content: str | None, tmp_path: Path) -> None:
    with claim(tmp_path, RECIPE, {}):
        for name in ("checkpoints", "prepared", "figures"):
            (tmp_path / name).mkdir()
    (tmp_path / "recipe.json").unlink()
    if content is not None:
        (tmp_path / "recipe.json").write_text(content)
    assert "overwrite" in refusal(tmp_path) or content is None
    (tmp_path / "notes.txt").touch()
    assert refusal(tmp_path, overwrite=True).startswith("folder_exists" if content is None else "json_broken")
    (tmp_path / "notes.txt").unlink()
    with claim(tmp_path, RECIPE, {}, overwrite=True):
        assert read_json(tmp_path / "recipe.json")["recipe"] == RECIPE.to_json()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment.json", "prepared", "recipe.json"]


@pytest.mark.parametrize("content", [None, "", '{"packages": '])
def test_a_lost_environment_is_told_again(content: str | None, tmp_path: Path) -> None:
    """Else every later run would be measured, and end without a report."""
    place = tmp_path / "environment.json"
    with claim(tmp_path, RECIPE, {}):
        (tmp_path / "checkpoints").mkdir()
    place.unlink()
    if content is not None:
        place.write_text(content)
    with claim(tmp_path, RECIPE, {}):
        assert "packages" in read_json(place)


def test_a_recipe_that_has_gained_a_field_is_the_same_recipe(tmp_path: Path) -> None:
    """Written before the field was there, the folder goes on as long as the field has its default."""
    recipe = replace(RECIPE, task=Segmentation())
    with claim(tmp_path, recipe, {}):
        (tmp_path / "checkpoints").mkdir()
    older = read_json(tmp_path / "recipe.json")
    assert older["recipe"]["task"].pop("answer") == "last"
    write_json(tmp_path / "recipe.json", older)
    with claim(tmp_path, recipe, {}):
        pass
    assert read_json(tmp_path / "recipe.json") == older
    other = replace(recipe, task=Segmentation(answer="larger"))
    with pytest.raises(MammoError, match=r"holds another run \(task.answer differs\)"), claim(tmp_path, other, {}):
        pass
