"""The explorer: one HTML file in which every number of a study leads to its samples."""
