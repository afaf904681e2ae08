"""Commands that train several models and compare them, one file each."""
