"""evaluate: what a model answers on a labelled split, and how good that is, with intervals."""
