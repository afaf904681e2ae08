"""Lines as they were asked for: of a length, with an ending, after a pattern, written in one case."""
