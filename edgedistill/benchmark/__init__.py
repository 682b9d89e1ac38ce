"""benchmark: latency and memory of model variants on this host."""
