"""What several files share: the table of operations as it was before a test declared its own."""

import pytest

from spellout.autograd import ops


@pytest.fixture
def _table_restored():
    before = dict(ops.TABLE)
    yield
    ops.TABLE.clear()
    ops.TABLE.update(before)
