"""What an n-gram model says at training positions, each as if its own occurrence had not been counted."""

import numpy as np

from spellout.models.ngram.counts import context_columns


def leave_one_out(model, tokens, targets):
    """(B, T, V) log-probabilities; target t is what followed tokens 0..t in the training lines."""
    columns = [column.ravel() for column in context_columns(tokens, max(model.order - 1, 1))]
    return model.leave_one_out_rows(columns, targets.ravel()).reshape(*tokens.shape, model.vocabulary_size)


def leave_one_out_score(model, tokens, targets):
    """(B, T) log-probabilities of the targets."""
    rows = leave_one_out(model, tokens, targets)
    return np.take_along_axis(rows, targets[..., None].astype(int), axis=-1)[..., 0]
