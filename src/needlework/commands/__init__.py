"""The subcommands: each parses paths and options and calls one function.

Heavy imports live inside the functions. How a mistake is shown is decided in `needlework.cli`.
"""
