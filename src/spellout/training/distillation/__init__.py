"""One small network learned from a large model, or from many."""
