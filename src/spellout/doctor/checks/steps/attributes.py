"""Attributes that torch never reads: a rate set on an optimizer, a freeze set on a module (family 20)."""

from __future__ import annotations

from collections.abc import Iterator

from ... import walk
from ...patient import Patient
from ...report import Finding, Page

NO_EFFECT = Page(
    id="attribute-without-effect",
    number=20,
    title="an attribute was set that torch does not read",
    why="The learning rate, or the freezing of a part, stays what it was, without a word.",
    evidence="torch's own optimizer has an attribute of its own with the name of one of its options, and "
    "another value than its groups; or a module has a plain `requires_grad`, and its parameters are trained.",
    legitimate="Notes that are kept there for one's own use.",
    cure="`for group in optimizer.param_groups: group['lr'] = rate`; `module.requires_grad_(False)`.",
)
PAGES = (NO_EFFECT,)


def check(patient: Patient) -> Iterator[Finding]:
    """All optimizers and all modules."""
    for optimizer in patient.optimizers:
        if not type(optimizer).__module__.startswith("torch.optim"):
            continue
        for name in optimizer.defaults.keys() & vars(optimizer).keys():
            value, used = vars(optimizer)[name], [group.get(name, 0.0) for group in optimizer.param_groups]
            if isinstance(value, int | float) and all(type(one) in (int, float) and one != value for one in used):
                kind = type(optimizer).__name__
                yield NO_EFFECT.found(f"`{kind}.{name}` was set to {value:.3g}, and its groups have {used[0]:.3g}")
    for name, module in patient.modules():
        if vars(module).get("requires_grad") is False:
            trained = sum(p.requires_grad for _, p in walk.parameters(module))
            if trained:
                where = f"`{name}.requires_grad`" if name else "the model's `requires_grad`"
                yield NO_EFFECT.found(f"{where} is False, and {trained} of its parameters are trained")
                return
