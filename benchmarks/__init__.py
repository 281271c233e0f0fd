"""How long the same answers take elsewhere and here: the measurement behind `make bench`."""
