"""Random subset sums whose answers integers know: instances, oracle, judge and planted faults."""
