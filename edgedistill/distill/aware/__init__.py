"""Quantization-aware fine-tuning: the student learns from its teacher with the rounding that int8 will do to it."""
