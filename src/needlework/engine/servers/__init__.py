"""Models behind an endpoint: the same questions, journal and records, asked of a server.

Nothing here imports torch: a job that only asks need not wait for it.
"""
