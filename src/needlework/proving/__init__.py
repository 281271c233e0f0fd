"""`needlework prove`: what a machine computes rightly, and how fast, in one command.

`running` does the steps of `steps` one after the other in processes of their own (`worker`), so
that a crash takes one step with it and no more; `page` and `summaries` show what `records` hold.
Random weights at published sizes stand for checkpoints. Not yet run on a GPU.
"""
