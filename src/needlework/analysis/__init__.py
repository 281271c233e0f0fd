"""What scores support: paired comparisons, Holm, effects of depth, findings."""
