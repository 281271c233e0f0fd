"""One decoder, four mixers, exact state; and the checkpoints it can load."""
