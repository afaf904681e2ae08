"""Does what is saved, and what is loaded, hold all that goes on with the training (family 31)?"""

from __future__ import annotations

from collections.abc import Iterator

from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from ... import walk
from ...patient import Patient
from ...report import Finding, Page
from ...sights.contents import Remembered
from ...sights.states import File, Loaded, States

UNFIT = Page(
    id="checkpoint-does-not-fit",
    number=31,
    title="what is loaded does not arrive",
    why="`strict=False`, or a dictionary filtered by names, hides that no name fits; "
    "the model keeps its first values.",
    evidence="How many of the names that `load_state_dict` was given are the model's, "
    "and whether the tensors that it was given were its own ones already.",
    legitimate="A head that is left out on purpose: most of the names fit.",
    cure="Compare the names, take a prefix such as `module.` away, and load with `strict=True`.",
)
FORGOTTEN = Page(
    id="optimizer-state-not-loaded",
    number=31,
    severity="warning",
    title="the checkpoint holds the optimizer's state, and it is not loaded",
    why="Moments and step counts begin at zero: the first steps after a resume are of another size and direction.",
    evidence="The file that the weights came from holds the state of an optimizer with as many parameters and the "
    "same settings, and `optimizer.load_state_dict` was not called.",
    legitimate="Training begun anew from weights of an earlier one.",
    cure="`optimizer.load_state_dict(checkpoint['optimizer'])`, and the same for the scheduler.",
)
INCOMPLETE = Page(
    id="checkpoint-incomplete",
    number=31,
    severity="warning",
    title="a part of the training is not in the checkpoint",
    why="Saved, loaded and gone on with is not the same as uninterrupted: what is missing begins anew.",
    evidence="What `torch.save` was given holds a part of what only a resume needs (a state of an optimizer, "
    "a scheduler or a loss scale), and not the other parts, which have something to remember.",
    legitimate="A schedule that is set up again from the step (`last_epoch=`); "
    "files of weights alone are not meant.",
    cure="Save `state_dict()` of the models, the optimizers, the schedulers and the scaler together, "
    "and `torch.get_rng_state()`.",
)
PAGES = (UNFIT, FORGOTTEN, INCOMPLETE)


def check(patient: Patient) -> Iterator[Finding]:
    """Files that were read and written while somebody listened."""
    states = patient.recording.states
    if states is None:
        return
    own = {id(p) for _, p in patient.parameters()}
    mine = [one for one in states.loaded if _touches(one, own)]
    yield from _unfit(mine, states)
    yield from _forgotten(patient, mine, states)
    yield from _incomplete(patient, states)


def _touches(loaded: Loaded, own: set[int]) -> bool:
    module = loaded.module()
    return module is not None and any(id(p) in own for _, p in walk.parameters(module))


def _unfit(mine: list[Loaded], states: States) -> Iterator[Finding]:
    for one in mine:
        fitting = one.given - len(one.strange)
        if one.given and not fitting and one.missed:
            pair = f"`{one.strange[0]}` was given, `{one.missed[0]}` is wanted"
            yield UNFIT.found(f"none of the {one.given} names is the model's: {pair}", one.where)
        elif one.same and one.own is None and states.read and not any(other.file for other in mine):
            evidence = f"all of the {one.given} tensors that are loaded are the model's own, none comes from a file"
            yield UNFIT.found(f"{evidence}, although one was read at {states.read[0].where}", one.where)
        elif one.strange and len(one.missed) > fitting:
            evidence = f"{fitting} of {one.given} names are the model's, which has {fitting + len(one.missed)}"
            yield UNFIT.found(evidence, one.where, "warning")
        else:
            continue
        return


def _forgotten(patient: Patient, mine: list[Loaded], states: States) -> Iterator[Finding]:
    files = [one.file for one in mine if one.file is not None and one.file.contents.optimizers]
    for optimizer in patient.recording.optimizers:
        if files and optimizer not in states.restored:
            for held in files[-1].contents.optimizers:
                if held.remembers and (same := _fits(held, optimizer)) is not None:
                    kind = type(optimizer).__name__
                    evidence = f"a state of {kind} for {held.remembers} parameters lies in the file that was read"
                    # With another learning rate it is rather another training.
                    yield FORGOTTEN.found(evidence, files[-1].where, "warning" if same else "note")
                    return


def _fits(held: Remembered, optimizer: Optimizer) -> bool | None:
    """Is it the state of such an optimizer: with the same settings (True), or others? None: it is not."""
    groups = optimizer.param_groups
    if held.counts != [len(group["params"]) for group in groups]:
        return None
    settings = [{key: one for key, one in group.items() if key != "params"} for group in groups]
    rates = [{"lr": group.get("initial_lr", group.get("lr"))} for group in settings]
    were = [{"lr": group.get("initial_lr", group.get("lr"))} for group in held.groups]
    if any(set(a) - {"initial_lr"} != set(b) - {"initial_lr"} for a, b in zip(settings, held.groups, strict=True)):
        return None
    return rates == were


def _incomplete(patient: Patient, states: States) -> Iterator[Finding]:
    places = {p.data_ptr() for p in patient.trained.values() if not isinstance(p, UninitializedParameter)}
    for file in states.saved:
        if not file.owned & places:
            continue
        missing = list(_missing(patient, file))
        if missing:
            severe = any(sure for sure, _ in missing)
            evidence = "; ".join(what for _, what in missing)
            yield INCOMPLETE.found(evidence, file.where, "warning" if severe else "note")
            return


def _missing(patient: Patient, file: File) -> Iterator[tuple[bool, str]]:
    """What is not in a file that is for a resume, and whether that certainly changes the training."""
    held = file.contents
    running = {id(one): one for one in patient.recording.optimizers if id(one) in file.running}
    full = [one for key, one in running.items() if file.running[key].remembers]
    if not held.optimizers and (held.schedulers or held.scalers) and full:
        kinds, what = ", ".join(type(one).__name__ for one in full), "schedule" if held.schedulers else "loss scale"
        yield True, f"the {what} is saved and the optimizer ({kinds}) is not: its moments begin at zero"
    if not held.optimizers:
        return
    for one in full:
        size = file.running[id(one)].size
        alike = sum(other.size == size for other in file.running.values() if other.remembers)
        if sum(sum(state.counts) == size for state in held.optimizers) < alike:
            yield (
                True,
                f"the state of {type(one).__name__}, of {size} parameters, is not among those that are saved",
            )
    schedulers = [one for one in patient.recording.schedulers if id(one.optimizer) in running]
    if schedulers and not held.schedulers:
        kinds = ", ".join(type(one).__name__ for one in schedulers)
        rates = [pair for one in schedulers for pair in file.running[id(one.optimizer)].rates]
        moved = next(((first, now) for first, now in rates if first not in (None, now)), None)
        told = f": the learning rate was {moved[1]:.3g}, and begins again at {moved[0]:.3g}" if moved else ""
        yield moved is not None, f"the schedule ({kinds}) is not saved{told}"
    if patient.case.thorough and not held.random:
        yield False, "the state of the random generators is not saved: shuffling and dropout go on otherwise"
