"""Trained networks that commands and simulations approximate, with the scripts that made them."""
