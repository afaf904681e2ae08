"""From a tape, the visits on it and the tensor whose gradient was asked for: model, loss and batch as a case.

The model is the outermost module that the loss was computed with and that the optimizer trains. Where these are
several modules, or plain tensors, the model is the program between the batch and the last that is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from .. import walk
from ..batch import TARGET, Batch
from ..case import Case
from ..tape import RANDOM, REGRESSIONS, Call, tensors_in, words
from .program import Picked, Program, ReplayedLoss
from .replay import Node, Replay, Visit, ancestors, dependent, is_live, made_by, nodes_of, substituted

LOSSES = REGRESSIONS | words(
    """cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div poisson_nll_loss
    gaussian_nll_loss hinge_embedding_loss cosine_embedding_loss margin_ranking_loss multi_margin_loss
    multilabel_margin_loss multilabel_soft_margin_loss soft_margin_loss ctc_loss"""
)
_TARGETS = words("y target targets label labels")


class NotCaptured(Exception):
    """Why the loss was not found; the sentence is for the report, and the module, if there is one, is watched."""

    def __init__(self, sentence: str, module: nn.Module | None = None) -> None:
        super().__init__(sentence)
        self.module = module


@dataclass(eq=False)
class Backward:
    """A tensor whose gradient was asked for, and what there was on the tape until then."""

    loss: torch.Tensor
    calls: Sequence[Call]
    visits: Sequence[Visit]
    names: dict[int, str] = field(default_factory=dict)
    """What the script calls its tensors and modules."""
    things: Mapping[str, Any] = field(default_factory=dict)
    """What the names stand for just now."""
    versions: list[tuple[torch.Tensor, int]] = field(default_factory=list)
    """What is trained, and how often torch had written into it."""

    def __post_init__(self) -> None:
        self.versions = self.versions or [(one, one._version) for one in self.leaves.values()]

    @property
    def has_moved(self) -> bool:
        """Were its weights stepped on since?"""
        return any(one._version != version for one, version in self.versions)

    def ending_in(self, loss: Any) -> Backward | None:
        """The same pass up to a loss that was named: a tensor, or what computes it; None if it is not there."""
        if isinstance(loss, torch.Tensor):
            made = [loss]
        elif isinstance(loss, nn.Module):
            made = [one for visit in self.visits if visit.module is loss for one in visit.outputs]
        else:
            code = getattr(loss, "__code__", None)
            calls = [call for call in self.calls if call.func is loss or (code is not None and call.code is code)]
            made = [one for call in calls for one in call.outputs]
        made = [one for one in made if one.requires_grad and one.numel() == 1 and not one.is_leaf]
        return replace(self, loss=made[-1]) if made else None

    @property
    def nodes(self) -> list[Node]:
        """Outermost visits, and the calls outside them."""
        return nodes_of(self.calls, [visit for visit in self.visits if visit.depth == 0])

    @cached_property
    def leaves(self) -> dict[int, torch.Tensor]:
        """What is trained by it: by id, in the order of its use."""
        found: dict[int, torch.Tensor] = {}
        for call in ancestors(self.calls, [self.loss], graph=True):
            found |= {id(one): one for one in call.inputs if is_live(one)}
        return found


@dataclass(eq=False)
class Captured:
    """A case, and what of it is missing."""

    case: Case
    entrances: list[nn.Module]
    """The modules that the script calls."""
    backward: Backward
    """What it was captured from."""
    missing: list[str] = field(default_factory=list)


def capture(backward: Backward, optimizers: Sequence[Optimizer], only: nn.Module | None = None) -> Captured:
    """The case of one backward pass and the optimizers that step on what it reaches.

    `only` is the model, if the user named it. Raises `NotCaptured`.
    """
    leaves = backward.leaves
    held = {id(one) for optimizer in optimizers for one in walk.listed_in(optimizer)}
    owned = {name for name in leaves if name in held} if held else set(leaves)
    if only is not None:
        owned = {id(parameter) for _, parameter in walk.parameters(only)}
    if not owned & set(leaves):
        raise NotCaptured("no gradient of the loss reaches what an optimizer holds")
    nodes = backward.nodes
    reaching = ancestors(nodes, [backward.loss], graph=True)
    visits = [node for node in reaching if isinstance(node, Visit) and owned & set(map(id, node.trained))]
    modules = {id(visit.module): visit.module for visit in visits}
    inside = {id(one) for visit in visits for one in visit.trained}
    outside = [one for name, one in leaves.items() if name in owned - inside]
    # Of a model that is called several times for one loss, one call alone is not what is trained.
    calls = {id(_unwrapped(visit, backward.visits)) for visit in visits}
    if len(modules) == len(calls) == 1 and not outside:
        return _of_module(backward, nodes, visits[-1], optimizers)
    return _of_program(backward, nodes, optimizers, owned, modules, outside)


def _of_module(
    backward: Backward, nodes: Sequence[Node], visit: Visit, optimizers: Sequence[Optimizer]
) -> Captured:
    """The case of a model that is one module, called once."""
    compiles = hasattr(visit.module, "_orig_mod") or getattr(visit.module, "_compiled_call_impl", None) is not None
    visit = _unwrapped(visit, backward.visits)
    inside = _loss_is_inside(backward, visit)
    items: Sequence[Node]
    first = backward.calls[0].index if backward.calls else 0
    items = backward.calls[visit.begin - first :] if inside else [one for one in nodes if one.index >= visit.end]
    made = [one for one in visit.outputs if one.requires_grad and one is not backward.loss]
    made = [one for one in made if one.numel() > 1] if inside else made
    used = {id(one) for node in ancestors(items, [backward.loss]) for one in [*node.inputs, *node.outputs]}
    entering = [one for one in made if id(one) in used]
    if inside:
        entering = entering[:1]
    missing: list[str] = []
    loss: Any
    if entering:
        loss, targets = _loss(backward, items, entering, visit.inputs)
        args, kwargs = (visit.args, visit.kwargs)
        if inside and len(targets) == 1:
            args, kwargs = _with_place(visit, targets[0])
        target = None if not targets else targets[0] if len(targets) == 1 else tuple(targets)
        batch = Batch(_detached(args), _detached(kwargs), target)
    elif any(one is backward.loss for one in visit.outputs):
        loss, batch = _given, Batch(_detached(visit.args), _detached(visit.kwargs), None)
        entering = [backward.loss]
    else:
        raise NotCaptured(
            f"the loss is not computed from what {_title(backward, visit.module)} returns, but from what it keeps",
            visit.module,
        )
    places = [next(i for i, one in enumerate(visit.outputs) if one is end) for end in entering]
    several = len(visit.outputs) > 1 or not isinstance(visit.output, torch.Tensor)
    case = Case(
        model=visit.module,
        loss=loss,
        batch=batch,
        optimizer=list(optimizers),
        pick=Picked(places) if several else None,
        within=visit.within,
        compiles=compiles,
    )
    return Captured(case, [visit.module], backward, missing)


def _given(output: Any, target: Any = None) -> torch.Tensor:
    """The loss that the model returns."""
    return next(tensors_in(output))


def _of_program(
    backward: Backward,
    nodes: Sequence[Node],
    optimizers: Sequence[Optimizer],
    owned: set[int],
    modules: dict[int, nn.Module],
    outside: list[torch.Tensor],
) -> Captured:
    """The case of several modules, or of plain tensors: everything up to the last that uses one of them."""
    used = ancestors(nodes, [backward.loss])
    whole, _ = dependent(used, [])
    trained = [
        node
        for node in whole
        if (isinstance(node, Visit) and id(node.module) in modules) or any(id(one) in owned for one in node.inputs)
    ]
    if not trained:
        raise NotCaptured("what is trained is used only inside calls that cannot be replayed")
    goals = [one for node in trained for one in node.outputs]
    model = ancestors(used, goals)
    among = set(map(id, model))
    rest = [node for node in used if id(node) not in among]
    consumed = {id(one) for node in rest for one in node.inputs} | {id(backward.loss)}
    ends = list(
        {
            id(one): one for node in model for one in node.outputs if id(one) in consumed and one.requires_grad
        }.values()
    )
    if not ends:
        raise NotCaptured("no tensor lies between what is trained and the loss")
    inputs, _ = _inputs(model, [])
    loss, targets = _loss(backward, rest, ends, inputs)
    size = _samples(targets) or _samples(inputs)
    inputs = [one for one in inputs if one.ndim and size in one.shape[:2]] or inputs[:1]
    names = _leaf_names(backward, outside)
    program = Program(Replay(model, inputs, ends), _module_names(backward, modules.values()), names)
    target = None if not targets else targets[0] if len(targets) == 1 else tuple(targets)
    case = Case(
        model=program,
        loss=loss,
        batch=Batch(tuple(map(_free, inputs)), {}, target),
        optimizer=list(optimizers),
        has_modes=all(isinstance(node, Visit) or not node.inputs for node in model),
    )
    return Captured(case, list(modules.values()), backward)


def _inputs(nodes: Sequence[Node], sources: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[Node]]:
    kept, constants = dependent(nodes, sources)
    return [one for one in constants if one.ndim], kept


def _samples(tensors: Iterable[torch.Tensor]) -> int:
    """The number of samples, as the first of these tensors has it."""
    return next((one.shape[0] for one in tensors if one.ndim), 0)


def _loss(
    backward: Backward, items: Sequence[Node], outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]
) -> tuple[ReplayedLoss, list[torch.Tensor]]:
    """The loss as a callable, and its targets, the main one first."""
    used = ancestors(items, [backward.loss], frozenset(map(id, outputs)))
    kept, constants = dependent(used, outputs)
    size, places = _samples(inputs), {one.shape[0] * one.shape[1] for one in inputs[:1] if one.ndim > 1}
    targets: dict[int, torch.Tensor] = {}
    for one in sorted(constants, key=lambda one: not _is_target(kept, one)):
        root = _root(backward.calls, one, size)
        if root is None and one.ndim and len(one) in places and _is_target(kept, one):
            root = one
        if root is not None:
            targets.setdefault(id(root), root)
    chosen = list(targets.values())
    # From the root on: what is made of the target before it meets the output is made of another target anew.
    replay = Replay(_between(backward.calls, items, used, chosen), [*outputs, *chosen], [backward.loss])
    return ReplayedLoss(replay, len(outputs)), [_free(one) for one in chosen]


def _between(
    calls: Sequence[Call], items: Sequence[Node], used: Sequence[Node], roots: Sequence[torch.Tensor]
) -> list[Node]:
    """The loss's own nodes, after those that its constants are made of the roots by."""
    known = set(map(id, used))
    wanted = {id(one) for node in used for one in node.inputs}
    earlier: list[Node] = []
    stop = set(map(id, roots))
    for call in reversed(calls):
        if id(call) not in known and made_by(call) & wanted and not made_by(call) & stop and _is_plain(call):
            earlier.append(call)
            wanted |= set(map(id, call.inputs))
    return sorted([*earlier, *used], key=lambda node: node.index)


def _is_plain(call: Call) -> bool:
    return len(call.inputs) == 1 and call.name not in RANDOM and not call.inputs[0].requires_grad


def _is_target(nodes: Sequence[Node], tensor: torch.Tensor) -> bool:
    return any(_compares(node, tensor) for node in nodes)


def _compares(node: Node, target: torch.Tensor) -> bool:
    """Is it one of torch's losses, a function's call or a module's, with that target?"""
    if isinstance(node, Call):
        return node.name in LOSSES and node.argument(1, "target") is target
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get("target")
    return isinstance(node.module, nn.modules.loss._Loss) and given is target


def _root(calls: Sequence[Call], tensor: torch.Tensor, size: int) -> torch.Tensor | None:
    """The tensor that a constant was made of and that has an axis of samples; None if there is none."""
    if tensor.ndim and size in tensor.shape[:2] and size > 1:
        return tensor
    for call in reversed(calls):  # backwards, so that a call that returns its argument is met once
        if id(tensor) in made_by(call):
            if not _is_plain(call):
                return None
            tensor = call.inputs[0]
            if tensor.ndim and size in tensor.shape[:2] and size > 1:
                return tensor
    return None


def _with_place(visit: Visit, target: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with a place for the target, if the model is given it besides its inputs."""
    named = [name for name, one in visit.kwargs.items() if _same(one, target)]
    places = [place for place, one in enumerate(visit.args) if _same(one, target)]
    if len(visit.inputs) < 2:
        return visit.args, visit.kwargs
    name = next((name for name in named if name in _TARGETS), named[-1] if named else None)
    if name is not None:
        return visit.args, {**visit.kwargs, name: TARGET}
    args = list(visit.args)
    if places:
        args[places[-1]] = TARGET
    return tuple(args), visit.kwargs


def _same(value: Any, tensor: torch.Tensor) -> bool:
    return isinstance(value, torch.Tensor) and (
        value is tensor or (value.data_ptr() == tensor.data_ptr() and value.shape == tensor.shape)
    )


def _detached(value: Any) -> Any:
    """What a model was given, without the graph that it came from."""
    return substituted(value, _free)


def _free(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach() if tensor.requires_grad and not tensor.is_leaf else tensor


def _unwrapped(visit: Visit, visits: Sequence[Visit]) -> Visit:
    """Inside what compiles a module, or copies it to several devices, its own visit."""
    module: Any = visit.module
    inner = getattr(module, "_orig_mod", None)
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = module.module
    if inner is None:
        return visit
    for other in visits:
        if other.module is inner and visit.begin <= other.begin and other.end <= visit.end:
            return other
    return visit


def _loss_is_inside(backward: Backward, visit: Visit) -> bool:
    """Does the model make the number, of another of its results, which is then at most divided?"""
    made = [one for one in visit.outputs if one.requires_grad]
    outside = [one for one in nodes_of(backward.calls, [visit]) if one.index >= visit.end]
    consumed = {id(one) for node in ancestors(outside, [backward.loss]) for one in node.inputs} | {
        id(backward.loss)
    }
    used = [one for one in made if id(one) in consumed]
    if len(used) != 1 or used[0].numel() != 1:
        return False
    within = [call for call in backward.calls if visit.begin <= call.index < visit.end]
    before = {id(one) for call in ancestors(within, used, graph=True) for one in call.inputs}
    return any(id(one) in before for one in made)


def _title(backward: Backward, module: nn.Module) -> str:
    return backward.names.get(id(module), type(module).__name__)


def _module_names(backward: Backward, modules: Iterable[nn.Module]) -> dict[str, nn.Module]:
    named: dict[str, nn.Module] = {}
    for module in modules:
        name = _title(backward, module).replace(".", "_")
        named[name if name not in named else f"{name}_{len(named)}"] = module
    return named


def _leaf_names(backward: Backward, leaves: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    named: dict[str, torch.Tensor] = {}
    for place, leaf in enumerate(leaves):
        name = backward.names.get(id(leaf), f"parameter {place}").replace(".", "_")
        named[name if name not in named else f"{name} {place}"] = leaf
    return named
