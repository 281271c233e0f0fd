"""The small language of the default study, and its architectures."""
