"""Numbers in, numbers out: means, intervals, paired tests, power. Nothing of studies or models."""
