"""Runs of Snakemake: one at a time in a folder, what earlier ones left, submissions, journals."""
