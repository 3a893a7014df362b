"""Training what a mask leaves: `slth.nets.fitting`, by the name that simulations know it by."""

from slth.nets.fitting import Recipe, accuracy, adam, train

__all__ = ["Recipe", "accuracy", "adam", "train"]
