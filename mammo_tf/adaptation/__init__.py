"""A model and a new site: what carries it there, and what that is worth."""
