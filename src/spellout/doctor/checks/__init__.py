"""Checks stand one family a file, and are listed in one tuple."""
