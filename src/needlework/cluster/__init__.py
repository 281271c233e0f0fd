"""What a run needs beside its rules: Slurm, progress, what is there, what a machine can do."""
