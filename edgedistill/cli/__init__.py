"""The command line: commands of a few lines that call the library function of the same name."""
