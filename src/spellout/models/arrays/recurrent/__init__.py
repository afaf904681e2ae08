"""A recurrent network in NumPy: whole lines side by side, with gradients by hand through time."""
