"""device: measure a model, and a machine, over ssh or adb."""
