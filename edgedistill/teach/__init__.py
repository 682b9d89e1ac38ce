"""teach: the teacher made ready, the texts that are made for it, and its answers to all of them."""
