"""What a recording notes of a step, of a batch and of a loader."""
