"""Latency before anything runs: work by class of operator, rates of a device, and how sure the product of the two is."""
