"""Many trainings: comparisons, tuning, the search for a learning rate."""
