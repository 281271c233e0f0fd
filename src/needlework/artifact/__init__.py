"""A study as one file that others can check: bundle, review, export."""
