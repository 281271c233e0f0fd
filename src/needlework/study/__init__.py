"""A study resolved: its config, the names in it, its plan, and its datasets."""
