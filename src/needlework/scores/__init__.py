"""From predictions to estimates: scored samples, means, intervals."""
