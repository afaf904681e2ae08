"""A network in NumPy, with gradients by hand."""
