"""Where gradients flow that should not, and where none flows that should."""
