"""WebDataset tars with an index made while writing: write, locate, read, verify."""
