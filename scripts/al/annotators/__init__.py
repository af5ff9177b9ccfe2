"""Oracles: who reveals the labels of the chosen regions."""
