"""Learner ``hact``: HACT-Net on graphs of cells and tissue; see settings.py for its section."""
