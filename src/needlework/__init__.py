"""Measures how far a language model really reads."""
