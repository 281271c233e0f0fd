"""Every subcommand parses paths and calls one function; heavy imports live inside it.

Knows options; does not know how a mistake is shown, which is the business of `needlework.cli`.
"""
