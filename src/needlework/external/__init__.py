"""What comes from outside: the registry, repositories of the hub, downloads, locks.

Everything that enters is verified here; nobody else opens a connection.
"""
