"""Several models as one: products of experts and mixtures, with fitted weights."""
