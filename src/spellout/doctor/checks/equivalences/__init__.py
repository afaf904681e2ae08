"""What should come to the same: saved and loaded, in parts, in two processes, compiled, in fewer bits."""
