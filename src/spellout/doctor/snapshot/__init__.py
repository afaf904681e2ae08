"""A snapshot keeps everything that a training step may touch, and puts it back exactly.

What is kept: modules (modes, hooks, parameters, buffers, attributes), tensors of any layout (bits, storage,
gradients, hooks, autograd's version counters), optimizers, schedulers, scalers, objects with their dictionaries and
slots, the classes, modules, closures and global variables that the given functions name, arrays, iterators, random
generators, and the settings of torch, NumPy and the process. Restoring writes the old bits into the old storage, so
aliases stay aliases.

What is not: generators and what they have yielded, iterators of a DataLoader with workers, what was written to
files, sockets or other processes, entries that a cache has gained, the state of libraries that lives outside the
user's objects (a logger's, a tracker's), and the bits of the tensors in a list of more than 20,000 (the list is).
"""

from .state import Snapshot, borrowed, companions

__all__ = ["Snapshot", "borrowed", "companions"]
