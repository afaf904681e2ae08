"""Language models under one contract, listed in one table: counted, in scalars, in NumPy, and in PyTorch."""
