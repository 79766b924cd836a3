"""Tables of sources become one row a sample: joined, derived, grouped, split and keyed."""
