"""Pictures of different splits that look the same: a run refuses them, or says that it was told to go on."""

from __future__ import annotations

from mammo_tf.errors import MammoError
from mammo_tf.imaging.near_copies import REMEDY
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.records import Records, copies_in_splits


def accepted_copies(records: Records, recipe: Recipe) -> tuple[str, ...]:
    """A line about pictures of different splits that look the same, where the recipe accepts them; else none.

    Raises:
        MammoError: `copies_in_two_splits` where there are such pictures and the recipe does not accept them.
    """
    line = copies_in_splits(records)
    if line and not recipe.preparation.accept_copies:
        raise MammoError("copies_in_two_splits", line, REMEDY)
    return (f"{line}; the recipe accepts that",) if line else ()
