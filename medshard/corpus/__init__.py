"""A corpus on disk or in S3: its manifest, its index, and samples that decode when they are looked at."""
