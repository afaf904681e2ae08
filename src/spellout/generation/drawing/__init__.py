"""What makes many lines quickly: tables of a model's states, random numbers, texts, and a set of those made."""
