"""Names of the files that `teach` writes, for every task."""

WEIGHTS_FILE = "model.safetensors"
TRANSFER_FILE = "transfer.arrow"
SOFT_LABELS_FILE = "soft_labels.arrow"
CURVE_FILE = "training_log.json"
ONE_FILE = "1000GB"
"""For `save_pretrained`: weights are never split over several files, as those of more than 5 GB are by default."""
