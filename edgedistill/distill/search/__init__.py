"""The decisions of the search for a student: what was found, what is tried next, what is taken. Values in, values out."""
