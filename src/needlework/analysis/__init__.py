"""What may be concluded from the scores of a study: comparisons, effects of depth, findings."""
