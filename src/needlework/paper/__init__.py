"""arXiv:2407.08112 as a preset: its published numbers, claims and audit, and their pages.

Imported by commands alone: a study of another question needs nothing of it.
"""
