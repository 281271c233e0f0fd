"""Numbers in, numbers out: means, intervals, bootstrap, contrasts, power."""
