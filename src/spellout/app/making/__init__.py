"""Lines that a model makes: as they are asked for, new, valid, printed as they come."""
