"""Regular expressions: read into trees, and numbered into the positions of automata, for tokens and for lines."""
