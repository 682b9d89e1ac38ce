"""Calibrate: small graphs timed through onnxruntime on this machine, and the rates that explain their times."""
