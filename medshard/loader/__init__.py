"""Streams a corpus to trainers: order, state, decoding, batches."""
