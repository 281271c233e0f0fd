"""Prompts in, predictions out: schedule, prefill, decode, stopping, journal."""
