"""The spec language: what one public dataset looks like on disk and what its labels mean."""
