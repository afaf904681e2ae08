"""Which lines of a list look wrong: every line judged by a model that has not seen it."""
