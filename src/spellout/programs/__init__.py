"""A loss written for one example, recorded once and run over many at the speed of the machine."""
