"""Prompts in, predictions out: plan, prefill, decode, and a journal that loses nothing."""
