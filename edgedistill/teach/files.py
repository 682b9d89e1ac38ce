"""Names of the files that `teach` writes, for every task."""

WEIGHTS_FILE = "model.safetensors"
TRANSFER_FILE = "transfer.arrow"
SOFT_LABELS_FILE = "soft_labels.arrow"
CURVE_FILE = "training_log.json"
