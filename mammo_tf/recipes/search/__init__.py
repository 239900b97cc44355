"""Search over the fields of a recipe; what is searched stands next to it, as a function that gives a `Space`."""

from mammo_tf.recipes.search.space import Number, OneOf, Space, When, Whole

__all__ = ["Number", "OneOf", "Space", "When", "Whole"]
