"""What a run needs beside its rules: Slurm, progress, signals, `doctor`."""
