"""Programs run over lanes by Numba: the operations as loops, and the interpreter of their tapes."""
