"""From a model to an answer in one command, and from a package to a project of one's own."""
