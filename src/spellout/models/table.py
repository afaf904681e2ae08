"""The visible table of models. Command-line choices, the README's list and the tests' parameters come from it.

A new model is a row here and its file. Whoever stands below this file and has to find a model by its name is handed
`MODELS`.
"""

from __future__ import annotations

from types import NoneType

from ..errors import UsageError
from .arrays.learner import MlpModel
from .arrays.mlp import MlpConfig
from .arrays.recurrent.gru import GruConfig
from .arrays.recurrent.learner import GruLearner
from .arrays.recurrent.model import GruModel as NumpyGruModel
from .arrays.training import mlp_learner
from .counts.config import CountsConfig
from .counts.model import CountsModel
from .counts.training import train_counts
from .ensembles.ensemble import Ensemble
from .ensembles.mixture import Mixture
from .ensembles.product import Product
from .family import ENSEMBLE, Family, Specification, parse
from .ngram.config import NgramConfig
from .ngram.model import NgramModel
from .ngram.training import train_ngram
from .pytorch.bow import BowModel
from .pytorch.mlp_bn import MlpBnModel
from .pytorch.model import TorchModel
from .pytorch.recurrent import GruModel, LstmModel, RnnModel
from .pytorch.transformer import TransformerModel
from .pytorch.wavenet import WavenetModel
from .scalars.bigram import BigramConfig, BigramModel, bigram_learner
from .scalars.gpt import GptConfig, GptModel, gpt_learner


def _in_pytorch(name: str, model: type[TorchModel], sentence: str, paper: str, dial: str = "hidden") -> Family:
    """Make the row of a network in PyTorch, which brings its settings and its learner."""
    return Family(name, sentence, paper, dial, model.Config, model, learner=model.learner, torch=True, student=True)


_COUNTS = Family(
    name="counts",
    sentence="counts in many contexts, mixed: last letters, place, beginning, classes of letters",
    paper="Mahoney 2005, PAQ; Knoll & de Freitas 2012",
    dial="views",
    config=CountsConfig,
    model=CountsModel,
    count=train_counts,
)
MODELS = {
    family.name: family
    for family in [
        Family(
            name="ngram",
            sentence="counts what followed the last letters, smoothed by what followed fewer of them",
            paper="Chen & Goodman 1998, modified Kneser–Ney; Teh 2006 for the concentrations",
            dial="order",
            config=NgramConfig,
            model=NgramModel,
            count=train_ngram,
            with_labels=_COUNTS,
        ),
        _COUNTS,
        Family(
            name="bigram",
            sentence="one linear layer on the last letter; learns what counting pairs knows",
            paper="Karpathy 2022, the first lecture's network",
            dial="batch",
            config=BigramConfig,
            model=BigramModel,
            learner=bigram_learner,
            compiled=True,
        ),
        Family(
            name="mlp",
            sentence="vectors of the last letters, one hidden layer; in NumPy, with gradients by hand",
            paper="Bengio et al. 2003",
            dial="hidden",
            config=MlpConfig,
            model=MlpModel,
            learner=mlp_learner,
            shaped=True,
            student=True,
        ),
        Family(
            name="gru-numpy",
            sentence="a gru in NumPy, with gradients by hand: reads a line from left to right into one memory",
            paper="Cho et al. 2014; Werbos 1990",
            dial="hidden",
            config=GruConfig,
            model=NumpyGruModel,
            learner=GruLearner,
            student=True,
        ),
        Family(
            name="gpt",
            sentence="a small Transformer in scalars: every letter looks at those before it",
            paper="Vaswani et al. 2017; Radford et al. 2019",
            dial="width",
            config=GptConfig,
            model=GptModel,
            learner=gpt_learner,
            compiled=True,
        ),
        _in_pytorch(
            "mlp-bn",
            MlpBnModel,
            sentence="an mlp whose hidden layer is normalised over the batch",
            paper="Bengio et al. 2003; Ioffe & Szegedy 2015",
        ),
        _in_pytorch(
            "wavenet",
            WavenetModel,
            sentence="fuses pairs of letters, then pairs of pairs, level by level",
            paper="van den Oord et al. 2016",
        ),
        _in_pytorch(
            "rnn",
            RnnModel,
            sentence="reads a line from left to right into one memory",
            paper="Mikolov et al. 2010",
        ),
        _in_pytorch(
            "gru",
            GruModel,
            sentence="reads a line from left to right; gates choose what of its memory is renewed",
            paper="Cho et al. 2014",
        ),
        _in_pytorch(
            "lstm",
            LstmModel,
            sentence="reads a line from left to right; gates protect a second memory",
            paper="Hochreiter & Schmidhuber 1997; Graves 2014",
        ),
        _in_pytorch(
            "bow",
            BowModel,
            sentence="averages everything read so far, whatever the order",
            paper="Karpathy 2022, makemore",
        ),
        _in_pytorch(
            "transformer",
            TransformerModel,
            sentence="lets every letter look back at all the others",
            paper="Vaswani et al. 2017; Radford et al. 2019, GPT-2",
            dial="width",
        ),
        Family(
            name=ENSEMBLE,
            sentence="several models as one, `MODEL & MODEL` or `4*MODEL`: the better of product and mixture",
            paper="Hinton 2002, products of experts; Jelinek & Mercer 1980, mixtures",
            dial="",
            config=NoneType,
            model=Ensemble,  # type: ignore[type-abstract]  # its `restore` makes one of the kinds below
        ),
    ]
}
# An ensemble's file stands below this one, and is told here what can be a member, and what it can be itself.
Ensemble.table, Ensemble.kinds = MODELS, {kind.kind: kind for kind in (Product, Mixture)}


def parse_specification(text: str, prior: str | None = None) -> Specification:
    """Understand a specification (see `family`); `prior` names the counts of networks that name none."""
    return parse(text, MODELS, prior)


def in_steps(text: str, prior: str | None, lacking: str) -> Specification:
    """Understand the specification of a model that learns in steps. `UsageError`: what one that counts lacks."""
    specification = parse_specification(text, prior)
    if specification.members:
        raise UsageError(f"--model {text}: an ensemble {lacking}; name one of its members")
    if not specification.family.in_steps:
        others = ", ".join(family.name for family in MODELS.values() if family.learner)
        name = specification.family.name
        raise UsageError(f"--model {text}: {name} counts and {lacking}; models that have: {others}")
    return specification
