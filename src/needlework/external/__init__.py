"""What comes from outside: registry, hub repositories, downloads, locks.

Everything that enters is verified here. No other room opens a connection.
"""
