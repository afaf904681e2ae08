"""Networks whose formula in Values is the file, run as programs."""
