#!/bin/sh
# snakemake without its chatter, and never without a reason: what stops it before the workflow is read
# (a folder that cannot be written to, a locale) is told by a dry run that may speak.
snakemake "$@" --quiet all
code=$?
[ "$code" -eq 0 ] && exit 0
said="$(snakemake "$@" --dry-run --quiet host progress reason rules 2>&1)" ||
    printf '%s\n' "$said" | tail -n 6 >&2
echo "needlework: snakemake ended with exit code $code; its log is the newest file in .snakemake/log" >&2
exit "$code"
