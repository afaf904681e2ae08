"""Which model suits a list, and what is installed, in so many seconds."""
