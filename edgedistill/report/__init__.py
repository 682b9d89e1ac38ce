"""report: report.json from the documents of a run, the pages made of it, and the comparison of runs."""
