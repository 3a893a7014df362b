"""Simulations: one experiment a file, each a protocol and a figure."""
