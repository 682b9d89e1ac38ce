"""prepare: from data files to splits of examples, cleaned, counted and told."""
