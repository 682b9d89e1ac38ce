"""Text classification: texts with one label or several, from tables to a bundle that takes text."""
