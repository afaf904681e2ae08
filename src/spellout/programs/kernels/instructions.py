"""What the numbers of bytecode mean: the columns of an instruction, and the codes of operations.

Operations of a fixed number of arguments have their places among the rows (`elementwise.py`) as codes.
"""

from __future__ import annotations

OP, COUNT, POOL, A, B, C = range(6)
# far above the rows' codes, so that the table may grow
DOT, SUM, MEAN, LARGEST, LOGSUMEXP, LOG_SOFTMAX, SELECT, PICK, OWN, LAYER = range(1000, 1010)
