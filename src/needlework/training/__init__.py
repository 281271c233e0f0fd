"""How the nano models are trained; nothing but `train_nano` needs it."""
