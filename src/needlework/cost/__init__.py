"""What a study will cost: tokens, FLOPs, memory and hours of every cell, before anything runs.

`study.planned` gives every cell, `estimate.reserved` what a scheduler is asked for, and
`figure.figure_rows` what the picture of score against hours shows.
"""
