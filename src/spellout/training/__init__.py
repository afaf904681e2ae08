"""From lines and a specification to a trained model, its run folder, and comparisons on one split."""
