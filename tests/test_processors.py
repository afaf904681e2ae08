"""What the suite says here it says on older processors too: a part of it again, with instruction sets held down.

The part is of what computes: training in every engine, kernels and machine code, the n-gram, sampling. How far the
numbers themselves agree is in docs/processors.md (`python bench/processors.py`).
"""

import json

import pytest

from processors import has_avx2, held_down, is_x86, run_held_down

AGAIN = [
    "tests/models/test_golden_losses.py",
    "tests/models/test_ngram.py",
    "tests/models/test_ngram_counts.py",
    "tests/programs/test_codegen.py",
    "tests/programs/test_kernels.py",
    "tests/programs/test_trainer.py",
    "tests/generation/test_sampling.py",
]
LEAST = "sse"
"""With the fewest instructions most is different: sums in narrower vectors, products that are not fused."""

pytestmark = pytest.mark.skipif(not is_x86(), reason="the variables are those of x86-64")

FOUND = """
import ctypes, json
import numba, numpy as np, torch
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from spellout import MLP, record
from spellout.programs.machine.machine_code import MachineCode, _processor

@numba.njit(fastmath=True)
def total(a):
    s = 0.0
    for x in a:
        s += x * x
    return s

total(np.ones(9))
program = record(lambda x: MLP(2, [4, 1])(x), [0.0, 0.0])
print(json.dumps({
    "numpy": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
    "torch": torch.backends.cpu.get_cpu_capability(),
    "numba": [name for name in ("ymm", "zmm", "vfmadd") if name in total.inspect_asm(total.signatures[0])],
    "machine_code": _processor(),
}))
"""


def found(level):
    result = run_held_down(level, "-W", "error", "-c", FOUND)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_what_is_held_down_is_not_used():
    said = found("sse")
    assert said == {"numpy": [], "torch": "DEFAULT", "numba": [], "machine_code": ["x86-64-v2", ""]}


@pytest.mark.skipif(not has_avx2(), reason="this processor has no AVX2")
def test_what_is_held_down_to_avx2_uses_that_and_no_more():
    said = found("avx2")
    assert (said["torch"], said["machine_code"]) == ("AVX2", ["x86-64-v3", ""])
    assert not {"X86_V4", "AVX512_SKX", "AVX512F"} & set(said["numpy"])
    assert "zmm" not in said["numba"]
    assert "ymm" in said["numba"]


def test_the_suite_holds_with_instruction_sets_held_down():
    result = run_held_down(LEAST, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *AGAIN)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
    assert held_down(LEAST)["NPY_DISABLE_CPU_FEATURES"] or not has_avx2()
