"""The commands, one file for each kind. Each body is a few lines of calls into the rooms below."""
