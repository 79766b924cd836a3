"""What cannot be shown cannot be shipped: metadata leave by allow-list, identities become tokens."""
