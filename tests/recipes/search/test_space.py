"""Search spaces: what they refuse before anything is run, and what they make of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.pipelines import shipped
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.recipe_file import RecipeFile
from mammo_tf.recipes.search import Number, OneOf, Space, When, Whole
from mammo_tf.recipes.search.importance import position
from mammo_tf.recipes.search.objective import objective_of
from mammo_tf.recipes.search.space import with_values
from mammo_tf.recipes.smoke_recipe import smoke


@dataclass(frozen=True)
class Part:
    """A stage, as it were."""

    name: str
    rate: float = 0.1
    layers: tuple[str, ...] = ("all",)

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise MammoError("part_wrong", f"the rate of {self.name} is {self.rate:g}, above 1")


@dataclass(frozen=True)
class Little:
    """A recipe, as it were: no TensorFlow."""

    parts: tuple[Part, ...] = (Part("one"), Part("two"))
    size: int = 3
    loss: str = "dice"
    flip: bool = True
    extra: dict[str, float] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """`one.rate` stands for `parts.one.rate`."""
        return f"parts.{name}" if name.split(".")[0] in {part.name for part in self.parts} else name


def refused(space: dict, recipe: object = None) -> str:
    with pytest.raises(MammoError) as caught:
        Space(space).check(Little() if recipe is None else recipe)
    assert caught.value.code == "space_wrong"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fields_are_set_whatever_their_kind() -> None:
    space = Space(
        {
            "one.rate": Number(1e-4, 1.0, log=True),
            "size": Whole(1, 9, 2),
            "loss": OneOf(("dice", "other")),
            "flip": OneOf((True, False)),
            "two.layers": OneOf((("all",), ("head", "body")), ("everything", "two parts")),
        }
    )
    space.check(Little())
    labels = {"one.rate": 0.5, "size": 7, "loss": "other", "flip": "false", "two.layers": "two parts"}
    changed = space.changed(Little(), labels)
    assert changed == Little((Part("one", 0.5), Part("two", 0.1, ("head", "body"))), 7, "other", False)
    assert space.changed(Little(), {}) == Little()


def test_a_group_of_fields_is_set_before_fields_that_stand_in_it() -> None:
    three = (Part("three"),)
    space = Space(
        {
            "three.rate": Number(0.1, 0.9, when=When("parts", ("short",))),
            "parts": OneOf((three, Little().parts), ("short", "long")),
        }
    )
    space.check(Little())
    assert space.changed(Little(), {"three.rate": 0.7, "parts": "short"}).parts == (Part("three", 0.7),)
    assert with_values(Little(), {"three.rate": 0.7, "parts": to_json(three)}).parts == (Part("three", 0.7),)
    with pytest.raises(MammoError, match="there is no field 'three.rate'"):
        space.changed(Little(), {"three.rate": 0.7, "parts": "long"})


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"one.rat": Number(0.1, 0.5)}, "Did you mean parts.one.rate?"),
        ({"one.rate": Number(0.5, 2.0)}, "the rate of one is 2, above 1"),
        ({"size": Number(1.5, 2.5)}, "not a whole number"),
        ({"one.rate": Number(0.5, 0.1)}, "the range of one.rate is empty: 0.5 to 0.1"),
        ({"one.rate": Number(0.5, 0.5)}, "is empty"),
        ({"one.rate": Number(0.5, float("nan"))}, "has no end"),
        ({"one.rate": Number(0.0, 0.5, log=True)}, "not above 0"),
        ({"size": Whole(3, 3)}, "is empty"),
        ({"size": Whole(3, 5, 4)}, "is empty"),
        ({"loss": OneOf(())}, "0 values to choose from"),
        ({"loss": OneOf(("dice",))}, "1 value to choose from"),
        ({"loss": OneOf(("dice", "dice"))}, "one name for each of 2 values"),
        ({"loss": OneOf(("dice", "other"), ("a",))}, "one name for each of 2 values"),
        ({}, "no field is searched"),
        ({"one.rate": Number(0.1, 0.5), "parts.0.rate": Number(0.1, 0.5)}, "are one field"),
        ({"one.rate": Number(0.1, 0.5, when=When("loss", ("dice",)))}, "not a OneOf"),
        ({"size": Whole(1, 3, when=When("flip", ("x",))), "flip": OneOf((True, False))}, "which it never is"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_line(space: dict, words: str) -> None:
    assert words in refused(space)


def test_a_space_of_a_condition_is_tried_in_all_of_them() -> None:
    longer, without = (Part("one"), Part("three")), (Part("three"),)
    parts = OneOf((longer, without), ("longer", "without"))
    wrong = Number(0.1, 0.5, when=When("parts", ("longer", "without")))
    assert "one.rate" in refused({"parts": parts, "one.rate": wrong})
    Space({"parts": parts, "one.rate": Number(0.1, 0.5, when=When("parts", ("longer",)))}).check(Little())


@given(st.floats(1e-6, 1e-2), st.floats(1.5, 1e4), st.floats(0, 1))
def test_places_on_an_axis_follow_the_range(low: float, times: float, share: float) -> None:
    high = low * times
    linear, log = Number(low, high), Number(low, high, log=True)
    assert position(linear, low + share * (high - low)) == pytest.approx(share, abs=1e-6)
    assert position(log, low * times**share) == pytest.approx(share, abs=1e-6)
    assert position(OneOf(("a", "b", "c")), "b") == 0.5


def test_every_space_of_the_package_is_of_its_recipe() -> None:
    found = 0
    for one in shipped():
        file = RecipeFile(one.path)
        for name in one.spaces:
            space, recipe = file.made(name, Space, "search space"), file.made("recipe", Recipe, "variant")
            space.check(recipe)
            space.check(smoke(recipe))
            assert objective_of(space, recipe.task).name in recipe.task.monitors
            found += 1
    assert found >= 6


def test_an_objective_is_one_that_the_task_has() -> None:
    recipe = RecipeFile("mln_net").made("recipe", Recipe, "variant")
    space = RecipeFile("mln_net").made("space", Space, "search space")
    assert objective_of(space, recipe.task).name == objective_of(replace(space, objective=""), recipe.task).name
    for wrong in ("val_auc", "val_loss", "dice"):
        with pytest.raises(MammoError, match="the objective of a segmentation is val_dice"):
            objective_of(replace(space, objective=wrong), recipe.task)
