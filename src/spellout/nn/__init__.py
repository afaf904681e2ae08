"""Neural networks on Values: layers, losses, optimizers and schedules, one idea a file."""

from .attention import Attention as Attention
from .embedding import Embedding as Embedding
from .layers import MLP as MLP
from .layers import Layer as Layer
from .layers import Neuron as Neuron
from .layers import PReLU as PReLU
from .module import Module as Module
from .module import load_state as load_state
from .module import save_state as save_state
from .normalization import LayerNorm as LayerNorm
from .normalization import RMSNorm as RMSNorm
from .optimizers import SGD as SGD
from .optimizers import Adam as Adam
from .optimizers import AdamW as AdamW
from .regularization import Dropout as Dropout
