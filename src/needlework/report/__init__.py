"""What a reader sees: tables, figures, the explorer and the short report."""
