"""What a model says of lines that are not in its list."""
