"""New lines from a model, and what a model thinks of given ones."""
