"""Neural networks on Values: layers, losses, optimizers and schedules, one idea a file."""

from .activation import PReLU
from .attention import Attention
from .embedding import Embedding
from .layers import MLP, Layer, Neuron
from .module import Module
from .normalization import LayerNorm, RMSNorm
from .optimizers import SGD, Adam, AdamW
from .regularization import Dropout
from .state import load_state, save_state

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "Attention",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerNorm",
    "Module",
    "Neuron",
    "PReLU",
    "RMSNorm",
    "load_state",
    "save_state",
]
