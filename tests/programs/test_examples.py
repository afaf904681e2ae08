"""Arrays as users give them: taken exactly, or refused by a sentence that names the argument."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spellout import Recorded, Trainer, Value, pick, record
from spellout.errors import RecordingError, ShapeError, UsageError, ValueTypeError
from spellout.nn.losses import cross_entropy
from spellout.programs.lanes import Lanes
from spellout.programs.optimizers import SGD

W = Value(3.0, label="w")
PROGRAM = record(lambda x, y: x[0] * W + x[1] * y, [0.0, 0.0], 0.0)
Y = np.array([1.0])


@pytest.mark.parametrize(
    "dtype",
    [
        int,
        np.int32,
        np.float16,
        np.longdouble,
        complex,
        np.complex64,
        bool,
        object,
        str,
        "f2",
        "U3",
        ">f8",
        "M8[D]",
        "x",
    ],
)
def test_programs_calculate_in_two_types_only(dtype):
    """`Trainer(..., dtype=int)` never learned: every step was rounded to 0."""
    for start in (
        lambda: Trainer(record(lambda x: (W * x - 1.0) ** 2, 1.0), SGD(lr=0.1), dtype=dtype),
        lambda: Lanes(PROGRAM, dtype),
    ):
        with pytest.raises(UsageError, match="programs calculate in float64 or float32, got dtype="):
            start()


@pytest.mark.parametrize("dtype", [float, "float32", np.float32, np.dtype("f8"), "d"])
def test_both_types_may_be_named_in_every_way(dtype):
    assert Lanes(PROGRAM, dtype).weights.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("array", "error", "sentence"),
    [
        (np.zeros((1, 2), complex), ValueTypeError, r"array of complex128; .*real numbers; give \.real and \.imag"),
        (np.array([["1", "2"]]), ValueTypeError, r"array of <U1; convert text"),
        (np.array([[b"1", b"2"]]), ValueTypeError, r"array of \|S1; convert text"),
        (np.array([[None, 1.0]]), ValueTypeError, "array of object; give floats or integers"),
        ([[Value(1.0), Value(2.0)]], ValueTypeError, "array of object; give floats or integers"),
        ([[Fraction(1, 2), 1]], ValueTypeError, "array of object; give floats or integers"),
        ([[10**30, 1]], ValueTypeError, "larger integers than 64 bits"),
        (np.array([["2020-01-01"] * 2], "M8[D]"), ValueTypeError, r"array of datetime64\[D\]; give floats"),
        (np.ma.array([[1.0, 2.0]], mask=[[False, True]]), ValueTypeError, r"masked array.*\.filled"),
        (np.ma.array([[1.0, 2.0]]), ValueTypeError, r"masked array.*\.filled"),
        (np.array([[2**53 + 1, 0]]), ValueTypeError, "the integer 9,007,199,254,740,993, and float64 has"),
        (np.array([[0, -(2**63)]]), ValueTypeError, "the integer -9,223,372,036,854,775,808, and float64"),
        (np.array([[2**64 - 1, 0]], np.uint64), ValueTypeError, "the integer 18,446,744,073,709,551,615, and"),
        (np.zeros((0, 2)), ShapeError, "holds no examples; give at least one"),
        ([], ShapeError, "holds no examples; give at least one"),
        ([[1.0, 2.0], [3.0]], ShapeError, "cannot be read as one array: .*inhomogeneous"),
        (np.zeros((1, 3)), ShapeError, r"shape \(N, 2\), got \(1, 3\)"),
        (None, ValueTypeError, "array of object"),
    ],
    ids=repr,
)
def test_what_is_no_array_of_real_numbers_is_refused(array, error, sentence):
    recorded = Recorded(lambda x, y: x[0] * W + x[1] * y)
    trainer = Trainer(PROGRAM, SGD(lr=0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's own (ComplexWarning) would be one, and no refusal
        for call in (PROGRAM, PROGRAM.gradient, trainer.step):
            with pytest.raises(error, match=f"argument 1 .*{sentence}"):
                call(array, Y)
        if error is ValueTypeError and getattr(np.asarray(array), "dtype", None).kind not in "iu":
            with pytest.raises(error, match=f"argument 1 .*{sentence}"):
                recorded(array, Y)
    assert trainer.weights.tolist() == [3.0]


def test_what_is_refused_is_not_recorded():
    recorded = Recorded(lambda x: x * W)
    for examples, sentence in [(3.0, "is a single number"), ([], "holds no examples"), (["a"], "convert text")]:
        with pytest.raises((ShapeError, ValueTypeError), match=f"argument 1 .*{sentence}"):
            recorded(examples)
    assert recorded.programs == {}


def test_the_second_argument_is_named_too():
    with pytest.raises(ValueTypeError, match="argument 2 is an array of complex128"):
        PROGRAM(np.zeros((1, 2)), Y + 0j)
    with pytest.raises(ShapeError, match="argument 2 holds no examples"):
        PROGRAM(np.zeros((1, 2)), [])
    with pytest.raises(ValueTypeError, match="argument 2 is a masked array"):
        PROGRAM(np.zeros((1, 2)), np.ma.array(Y))


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint16, np.int32, np.uint32, np.bool_]),
        (3, 2),
        elements={"allow_nan": False, "allow_infinity": False, "max_value": 100, "min_value": 0},
    )
)
def test_every_real_type_is_taken_exactly(array):
    expected = array[:, 0].astype(float) * 3.0 + array[:, 1].astype(float)
    assert PROGRAM(array, np.ones(3, array.dtype)).tolist() == expected.tolist()
    assert PROGRAM(array.tolist(), [1.0] * 3).tolist() == expected.tolist()


def test_the_largest_integers_are_exact():
    one = record(lambda x: x + 0.0 * W, 0.0)
    assert one(np.array([2**53, -(2**53)])).tolist() == [float(2**53), -float(2**53)]
    narrow = Lanes(one, np.float32)
    assert narrow.run(np.array([2**24])).tolist() == [2.0**24]
    with pytest.raises(ValueTypeError, match=r"the integer 16,777,217, and float32 has integers up to 16,777,216"):
        narrow.run(np.array([2**24 + 1]))


def test_examples_to_record_are_named_when_they_do_not_fit():
    for example, sentence in [
        (np.zeros(2, complex), "argument 2 of the example: not one real number: 0j"),
        ([None, 1.0], "argument 2 of the example: not one real number: None"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "argument 2 is a masked array"),
    ]:
        with pytest.raises(ValueTypeError, match=sentence):
            record(lambda y, x: x[0] * W + y, 1.0, example)
    assert record(lambda x: x[0] * W, np.ones(2, np.float16))([[2.0, 0.0]]).tolist() == [6.0]


# Parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda f, p: record(f, 1.0, parameters=p), lambda f, p: Recorded(f, p)])
def test_parameters_are_values_each_once(make):
    w, v = Value(2.0, label="w"), Value(3.0)
    with pytest.raises(
        UsageError, match=r"the same Value 'w' twice, at the places 0 and 1; to tie weights use one"
    ):
        make(lambda x: w * x, [w, w])
    with pytest.raises(ValueTypeError, match=r"parameters are Values, got 2\.0 \(float\) at place 0"):
        make(lambda x: w * x, [2.0])
    with pytest.raises(ValueTypeError, match=r"the parameter at place 1 was computed \('\+'\)"):
        make(lambda x: w * x, [w, w + v])
    with pytest.raises(ValueTypeError, match="got one Value; give a list"):
        make(lambda x: w * x, w)


def test_a_tied_weight_is_listed_once_and_its_gradient_is_the_sum():
    w = Value(2.0)
    program = record(lambda x: (w * x).tanh() * w, 1.0, parameters=[w])
    value, gradient = program.gradient([0.25])
    eager = (w * 0.25).tanh() * w
    eager.backward()
    assert value == pytest.approx(eager.data, rel=1e-14)
    assert gradient.tolist() == pytest.approx([w.grad], rel=1e-14)
    tanh = np.tanh(0.5)
    assert w.grad == pytest.approx(tanh + 2.0 * 0.25 * (1 - tanh**2), rel=1e-14)


# Arrays inside a recording --------------------------------------------------------------------------------------

MATRIX = np.arange(6.0).reshape(3, 2)


def test_arrays_of_numbers_and_of_values_inside_a_recording():
    values = np.array([[Value(x) for x in row] for row in MATRIX])
    X = np.array([[1.0, 2.0], [0.5, -1.0]])
    assert record(lambda x: MATRIX @ np.array(x), [0.0, 0.0])(X).tolist() == (X @ MATRIX.T).tolist()
    program = record(lambda x: values @ np.array(x), [0.0, 0.0])
    assert program(X).tolist() == (X @ MATRIX.T).tolist()
    assert len(program.parameters) == 6
    np.testing.assert_allclose(record(lambda x: np.exp(np.array(x) * W), [0.0, 0.0])(X), np.exp(3 * X), rtol=1e-14)
    assert record(lambda x: np.array(x * W), 0.0)([2.0]).tolist() == [6.0]


def test_rows_of_arrays_are_picked():
    values = np.array([[Value(x) for x in row] for row in MATRIX])
    which = np.array([2, 0, 1])
    for table in (MATRIX, values, MATRIX.tolist()):
        program = record(lambda i, table=table: [x * W for x in pick(table, i)], 0)
        assert program(which).tolist() == (3.0 * MATRIX[which]).tolist()
    for column in (MATRIX[:, 1], MATRIX[:, 1].tolist()):
        assert record(lambda i, c=column: pick(c, i) * W, 0)(which).tolist() == (3.0 * MATRIX[which, 1]).tolist()
    logits = np.array([1.0, 2.0, 4.0])
    losses = record(lambda i: cross_entropy(logits * W, i), 0)(which)
    np.testing.assert_allclose(losses, np.log(np.exp(3 * logits).sum()) - 3 * logits[which], atol=1e-14)


@pytest.mark.parametrize("read", [lambda i: MATRIX[i][0], lambda i: MATRIX[i, 0], lambda i: MATRIX[[i]]])
def test_an_array_read_at_an_integer_input_is_refused_with_the_line(read):
    line = read.__code__.co_firstlineno
    with pytest.raises(RecordingError, match=rf"test_examples\.py:{line} uses an integer input .* pick instead"):
        record(lambda i: read(i) * W, 0)
