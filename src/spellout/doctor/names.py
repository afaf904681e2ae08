"""Names of torch's functions, in the groups that the checks ask for; `tape.py` says how a name is made."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


QUIET = words(
    """__get__ __set__ size dim numel __len__ is_floating_point is_complex stride data_ptr ndimension
    _set_grad_enabled register_hook requires_grad_ is_contiguous __format__ __repr__ tolist element_size is_cuda"""
)
"""Not worth a line on the tape."""
PROPERTIES = words("T mT H mH data")
"""Attributes that are calls all the same."""
ALIASES = {
    "truediv": "div", "rtruediv": "rdiv", "true_divide": "div", "itruediv": "div", "divide": "div", "isub": "sub",
    "subtract": "sub", "iadd": "add", "imul": "mul", "multiply": "mul", "radd": "add", "rmul": "mul", "ipow": "pow",
    "special_expit": "sigmoid", "hardsigmoid": "sigmoid", "special_softmax": "softmax", "clip": "clamp",
    "special_log_softmax": "log_softmax", "negative": "neg", "concat": "cat", "concatenate": "cat",
}  # fmt: skip
RANDOM = words(
    """rand randn randint rand_like randn_like randint_like randperm normal bernoulli multinomial poisson dropout
    dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout gumbel_softmax rrelu uniform
    exponential normal_ uniform_ bernoulli_ exponential_ random_ log_normal cauchy geometric"""
)
"""Functions that draw random numbers."""
RESHAPES = words(
    """view reshape flatten unflatten squeeze unsqueeze permute transpose t T mT H mH data contiguous clone to float
    double expand swapaxes swapdims movedim bfloat16 half type_as view_as reshape_as cpu cuda detach"""
)
"""Calls whose result holds all values of their first argument, moved."""
AFFINE = words("linear conv1d conv2d conv3d matmul addmm")
"""Products of an input with weights."""
MOVES = RESHAPES | words("getitem select narrow chunk split unbind stack cat")
"""Calls whose result holds values of their first argument, moved or chosen."""
