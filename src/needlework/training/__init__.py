"""How the nano models are trained. Only the rule `train_nano` needs it."""
