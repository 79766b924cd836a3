"""Crops of volumes in the loader: drawn, read, sampled, and put back together."""
