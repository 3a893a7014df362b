"""Simulations: one experiment a file, each a protocol and a figure. `python -m sims.NAME --help`."""
