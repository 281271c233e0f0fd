"""The nano study: a small language, six small models, and the recipe that trained them."""
