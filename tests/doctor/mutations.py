"""The table of mutations: a small Transformer with one thing wrong, and the finding that must name it.

A mutation is a function that returns what `examine` takes. Where nothing can name it in principle, the reason
stands in its place.
"""

MUTATIONS = []
"""Category, ids of which one must be found (None: undetectable), reason, program."""


def mutation(category, *ids, reason=None):
    def register(program):
        MUTATIONS.append((category, ids or None, reason, program))
        return program

    return register


def switched(make, category, rows):
    """Register one mutation for each flaw that a program has as a switch."""
    for flaw, *ids in rows:
        reason = ids.pop() if None in ids else None
        ids = [name for name in ids if name]

        def program(flaw=flaw):
            return make(flaw)

        program.__name__ = f"{make.__name__}_{flaw.replace(' ', '_')}"
        mutation(category, *ids, reason=reason)(program)
