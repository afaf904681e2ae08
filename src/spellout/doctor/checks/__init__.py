"""The checks, one family a file, listed in one table."""
