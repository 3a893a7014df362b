"""Parts of `sims.assigned`."""
