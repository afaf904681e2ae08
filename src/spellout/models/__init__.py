"""The language models, one file per family, one visible table, one contract."""
