"""Image classification: pictures of one class each, from folders and tables to a bundle that takes a decoded picture."""
