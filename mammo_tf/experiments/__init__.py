"""Many recipes at once: the demonstration, and the tables of papers."""
