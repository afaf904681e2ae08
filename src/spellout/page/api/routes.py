"""The routes of the API: what each takes, what it answers, and the function of the run that finds it out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import GenerationError, UsageError
from ...inference.following import what_follows
from ...inference.making import Making
from ...inference.scores import check_label, novelty_of, spell_out
from ...inference.wanted import Flags, asked_label, check_kept
from ...version import __version__
from ..turns import Ended, Work
from . import answers, requests

if TYPE_CHECKING:
    from ..served import Served


@dataclass(frozen=True)
class Route:
    """One route. `request` is None where nothing is asked; `work` is done in a thread (see `turns`)."""

    path: str
    summary: str
    request: type | None
    answer: type
    work: Callable[[Served, Any, Work], dict[str, Any]]
    by_address: bool = True
    """Whether GET takes the fields as parameters of the address."""


def make(served: Served, request: requests.MakeRequest, work: Work) -> dict[str, Any]:
    """Make lines, until there are enough of them or nothing more is to be expected."""
    run, sampling = served.run, request.sampling
    check_kept(run, served.name, request.novel, request.nearest)
    flags = Flags(
        *(request.n, sampling, request.wishes, request.novel, request.unique, request.nearest),
        valid=None,
        only=None,
    )
    learned = run.lines, run.lines, run.usual_length
    wanted, wish = flags.understood(run.vocabulary, request.label, *learned, listener=work)
    making = Making(run, sampling, wanted, wish, work, served.new)
    lines: list[dict[str, Any]] = []
    stopped = None
    try:
        for row in making.rows():
            lines.append(making.layout.row(row))
        making.say_cut()
        stopped = making.lacking()
    except GenerationError as error:
        stopped = str(error)
    except Ended as error:
        stopped = f"stopped after {making.made:,} of {making.count:,} lines: {error}; ask for fewer, or for less"
    told = [in_words_of_requests(note) for note in work.notes]
    return {"lines": lines, "stopped": stopped and in_words_of_requests(stopped), "notes": told}


def score(served: Served, request: requests.ScoreRequest, work: Work) -> dict[str, Any]:
    """Say how surprising lines are."""
    from ...data.sources.config import TAB, line_ends_apart
    from ...data.typed import typed_line
    from ...generation.losses import NATS_PER_BIT
    from ...generation.scoring import score_lines

    run = served.run
    if (characters := sum(map(len, request.lines))) > requests.SCORED:
        raise UsageError(f"lines may have at most {requests.SCORED:,} characters together, and have {characters:,}")
    before = f"{request.label}{TAB}" if _has_label(served, request.label) else ""
    lines = []
    for place, line in enumerate(request.lines):
        line = line_ends_apart(typed_line(line.strip(), f"lines[{place}]"), run.vocabulary.between)
        lines.append(before + _not_blank(line, f"lines[{place}]"))
    scores = list(score_lines(run.model, run.vocabulary, lines))
    novelty = novelty_of(run, scores, served.new)
    rows = []
    for one in scores:
        nats = {"nats_per_char": one.bits_per_char * NATS_PER_BIT}
        row = one.to_json(run.vocabulary) | nats | (novelty.to_json(one) if novelty else {})
        rows.append(row if request.letters else {key: row[key] for key in row if key not in ("symbols", "bits")})
    places = sum(len(one.line) + 1 for one in scores)
    return {"nats_per_char": sum(float(one.nats.sum()) for one in scores) / places, "lines": rows}


def why(served: Served, request: requests.WhyRequest, work: Work) -> dict[str, Any]:
    """Spell a line out, and find the training line that is most like it."""
    from ...data.labels import texts
    from ...generation.novelty import nearest

    _has_label(served, request.label)
    _not_blank(request.line, "line")
    run = served.run
    spelled = spell_out(run, request.line, request.label, request.top, served.new)
    letters = []
    for place, step in enumerate(spelled.letters):
        new = spelled.among_new[place].probability if spelled.among_new else None
        letters.append(step.to_json() | {"new_probability": new})
    near = nearest(spelled.line, texts(run.vocabulary, run.lines)) if run.lines else (None, None)
    return {
        "line": spelled.line,
        "label": request.label,
        "bits": sum(step.bits for step in spelled.letters),
        "letters": letters,
        "known": spelled.known,
        "nearest": near[0],
        "distance": near[1],
    }


def following(served: Served, request: requests.NextRequest, work: Work) -> dict[str, Any]:
    """Say what may follow the beginning of a line."""
    run = served.run
    check_kept(run, served.name, request.novel, nearest=False)
    novel = run.lines is not None and request.novel is not False
    found = what_follows(run, request.sampling, novel, request.top, request.label, work, served.new)
    tokens = [{"symbol": symbol, "probability": chance} for symbol, chance in found.tokens]
    return {"prefix": found.prefix, "end": found.end, "tokens": tokens, "novel": novel}


def model(served: Served, request: None, work: Work) -> dict[str, Any]:
    """Say what is served."""
    from ...data.labels import Labelled

    run, vocabulary = served.run, served.run.vocabulary
    results = run.facts.get("results") or {}
    return {
        "run": served.name,
        "spellout": __version__,
        "model": run.family,
        "specification": str(run.facts.get("specification", run.family)),
        "parameters": run.model.parameters,
        "context": run.model.context,
        "nats_per_char": (results.get("dev") or {}).get("nats_per_char"),
        "new_nats_per_char": (results.get("new_lines") or {}).get("nats_per_char"),
        "training_lines": None if run.lines is None else len(run.lines),
        "vocabulary": {
            "noun": vocabulary.noun,
            "size": vocabulary.size,
            "tokens": vocabulary.known,
            "labels": vocabulary.labels if isinstance(vocabulary, Labelled) else [],
        },
        "settings": run.model.settings(),
        "results": results,
    }


ROUTES = (
    Route("/make", "Make lines", requests.MakeRequest, answers.Made, make),
    Route("/score", "Score lines", requests.ScoreRequest, answers.Scored, score, by_address=False),
    Route("/why", "Spell a line out", requests.WhyRequest, answers.Spelling, why),
    Route("/next", "What may follow", requests.NextRequest, answers.Next, following),
    Route("/model", "What is served", None, answers.Model, model),
)


def _has_label(served: Served, label: str | None) -> bool:
    """Say whether lines have labels. `UsageError` for a label that is missing, unknown or not wanted."""
    labelled = check_label(served.run.vocabulary, label) or label is not None
    if labelled:
        asked_label(served.run.vocabulary, label)
    return labelled


def _not_blank(line: str, name: str) -> str:
    if not line.strip():
        raise UsageError(f"{name} is blank, and no line is; leave it out")
    return line


_FLAGS = re.compile(
    r"--(as-it-is|novel|temperature|top-k|top-p|greedy|prefix|max-length|label|length|ends|contains|case|nearest"
    r"|unique)\b(?! COLUMN)"  # a flag of another command
)


def in_words_of_requests(sentence: str) -> str:
    """Write a sentence about flags of the command line with the fields of a request."""
    named = _FLAGS.sub(lambda flag: flag[1].replace("-", "_"), sentence)
    return re.sub(r"\bas_it_is\b", "novel=false", named)
