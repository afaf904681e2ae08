"""Is a state that was to be kept the living one, which goes on changing (family 31)?"""

from __future__ import annotations

from collections.abc import Iterator

from ... import walk
from ...patient import Patient
from ...report import Finding, Page
from ...sights.states import Kept, Taken

REFERENCE = Page(
    id="state-kept-by-reference",
    number=31,
    title="the state that is kept is the living one: it goes on changing",
    why="`state_dict()` copies nothing. The best state that was kept is the last one, "
    "and to load it changes nothing.",
    evidence="Tensors of a state that was kept are the model's own, and have moved with the training since; "
    "an error where it was loaded again, or where several are kept and all hold the same numbers.",
    legitimate="A state that is read or saved to a file at once.",
    cure="`best = copy.deepcopy(model.state_dict())`, or `torch.save` it.",
)
PAGES = (REFERENCE,)


def check(patient: Patient) -> Iterator[Finding]:
    """States that were loaded back, and those that are still kept at the end."""
    recording = patient.recording
    if recording.states is None:
        return
    for loaded in recording.states.loaded:
        if loaded.own is not None and loaded.same and loaded.moved and _is_mine(patient, loaded.own):
            evidence = (
                f"loaded again after {loaded.moved} of {len(loaded.own.tensors)} tensors had moved: they are the "
                f"model's own, so that nothing changed; it was taken at {loaded.own.where}"
            )
            yield REFERENCE.found(evidence, loaded.where)
            return
    kept = [one for one in recording.references if _is_mine(patient, one.taken)]
    if kept:
        yield _of(max(kept, key=lambda one: (one.others, one.sure)))


def _of(kept: Kept) -> Finding:
    taken = kept.taken
    moved = f"{kept.moved} of its {len(taken.tensors)} tensors have moved with the training since it was taken"
    if kept.others:
        count = kept.others + 1
        return REFERENCE.found(f"{count} states are kept, and all hold the same numbers: {moved}", taken.where)
    # Before the training it may be only looked at; and off the tape it is not known what it was used for.
    return REFERENCE.found(moved, taken.where, "warning" if kept.sure else "note")


def _is_mine(patient: Patient, taken: Taken) -> bool:
    """Is it a state of what is trained here?"""
    module = taken.module()
    own = {id(p) for p in patient.trained.values()}
    return module is not None and any(id(p) in own for _, p in walk.parameters(module))
