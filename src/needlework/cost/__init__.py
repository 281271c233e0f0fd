"""Estimates before a run: tokens, FLOPs, memory, hours and time limit of a cell.

`study.planned` gives every cell, `estimate.reserved` what a scheduler is asked for, and
`figure.figure_rows` what the picture of score against hours shows.
"""
