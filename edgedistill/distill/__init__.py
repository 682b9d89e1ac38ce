"""distill: from soft labels to a student: its tokens, its first weights, what it is trained towards, and the training."""
