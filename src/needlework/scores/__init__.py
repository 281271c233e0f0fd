"""From predictions to estimates: scored samples, parts of cells, means with their intervals."""
