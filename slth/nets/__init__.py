"""Networks that commands and simulations share: trained targets, untrained architectures."""
