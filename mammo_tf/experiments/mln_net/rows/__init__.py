"""The rows of the tables, each one file."""
