"""A `Portable` as few bytes, and back: what a page carries of a model."""
