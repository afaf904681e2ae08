"""Lines of a file, their vocabulary and splits, sources of known entropy, and the bundled list of names."""
