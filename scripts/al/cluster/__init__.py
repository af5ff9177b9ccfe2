"""One Snakemake at a time in one folder: words, locks, records and survivors of ``launch.py``."""
