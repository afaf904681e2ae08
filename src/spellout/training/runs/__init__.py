"""What a training leaves: a folder that explains itself."""
