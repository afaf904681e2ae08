"""The names of the results, apart from the work, so that help needs neither NumPy nor PyTorch."""

RESULTS = (
    "counts",
    "bigram-network",
    "smoothing",
    "mlp",
    "words",
    "initialisation",
    "batchnorm",
    "by-hand",
    "wavenet",
)
