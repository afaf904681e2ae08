"""The figures hold the numbers they were given: asked of their axes, not of their pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spellout.errors import RunError
from spellout.plots.curves import loss_curves, lr_curve, update_ratios
from spellout.plots.figure import new_figure, save_figure
from spellout.plots.layers import activation_histograms, gradient_histograms, saturation_maps
from spellout.plots.letters import attention_maps, bigram_map, embedding_scatter, surprise_bars


@pytest.fixture
def random():
    return np.random.default_rng(5)


def labelled(axes):
    return {line.get_label(): line.get_xydata().T for line in axes.lines}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def names_of(ticks):
    return [tick.get_text() for tick in ticks]


def test_loss_curves_are_the_losses():
    figure = loss_curves(([1, 2, 3], [3.0, 2.5, 2.25]), ([0, 3], [3.3, 2.125]))
    lines = labelled(figure.axes[0])
    assert_array_equal(lines["training, per token, smoothed"], [[1, 2, 3], [3.0, 2.5, 2.25]])
    assert_array_equal(lines["dev, per character"], [[0, 3], [3.3, 2.125]])
    assert figure.axes[0].get_title() == "loss: best dev 2.1250 nats per character after 3 steps"


def test_losses_without_dev_lines_are_drawn_too():
    assert_array_equal(loss_curves(([1], [3.0]), ([], [])).axes[0].lines[0].get_xydata(), [[1, 3.0]])


@pytest.mark.parametrize("suggestion", [0.02, None])
def test_the_finder_shows_rates_losses_and_its_suggestion(suggestion):
    rates, losses, smoothed = [0.01, 0.1, 1.0], [3.0, 2.0, 9.0], [3.0, 2.5, 8.0]
    (axes,) = lr_curve(rates, losses, smoothed, suggestion).axes
    lines = labelled(axes)
    assert_array_equal(lines["of each batch"], [rates, losses])
    assert_array_equal(lines["smoothed, without the noise of the batches"], [rates, smoothed])
    assert axes.get_xscale() == "log"
    assert ("suggestion 0.02" in lines) == (suggestion is not None)
    if suggestion:
        assert_array_equal(lines["suggestion 0.02"][0], [0.02, 0.02])


def test_update_ratios_are_logarithms_with_a_line_at_minus_three():
    (axes,) = update_ratios([1, 21], {"head": [0.0, 0.01], "hidden": [0.001, 0.0001]}).axes
    lines = labelled(axes)
    assert_allclose(lines["hidden"], [[1, 21], [-3.0, -4.0]])
    assert_allclose(lines["head"], [[1, 21], [np.nan, -2.0]])
    assert_array_equal(lines["about right"][1], [-3.0, -3.0])


def test_a_bigram_map_holds_shares_and_counts():
    counts = np.array([[0, 1200, 300], [34000, 0, 0], [0, 0, 0]])
    chances = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    figure = bigram_map(["¶", "$", "b"], counts, chances, of=50)
    first, second = figure.axes
    assert_allclose(first.images[0].get_array() ** 2, [[0, 0.8, 0.2], [1, 0, 0], [0, 0, 0]])
    assert texts(first) == ["", "1.2k", "300", "34k", "", "", "", "", ""]
    assert_allclose(second.images[0].get_array() ** 2, chances)
    assert texts(second)[-3:] == ["20", "30", "50"]
    assert names_of(first.get_xticklabels())[:3] == names_of(first.get_yticklabels()) == ["¶", "$", "b"]
    assert "3 most frequent of 50 symbols" in first.get_title()


def test_vectors_of_two_numbers_are_drawn_where_they_are():
    vectors = np.array([[0.0, 0.0], [1.0, 3.0], [-2.0, 1.0]])
    (axes,) = embedding_scatter(["a", "b", "c"], vectors).axes
    assert texts(axes) == ["a", "b", "c"]
    assert_allclose([text.get_position() for text in axes.texts], vectors, atol=1e-3)


def test_more_dimensions_are_turned_to_the_two_of_most_variance(random):
    flat = random.normal(size=(12, 2)) * [3.0, 1.0]
    turned = flat @ np.linalg.qr(random.normal(size=(6, 6)))[0][:2]
    (axes,) = embedding_scatter(list("abcdefghijkl"), turned + 7.0).axes
    places = np.array([text.get_position() for text in axes.texts])
    between = np.hypot(*(flat[:, None] - flat).transpose(2, 0, 1))
    apart = between > 0.8  # letters nearer than that may have moved
    assert_allclose(np.hypot(*(places[:, None] - places).transpose(2, 0, 1))[apart], between[apart], atol=0.4)
    largest = np.linalg.eigvalsh(np.cov(turned.T))[::-1]
    assert axes.get_xlabel() == f"first component, {largest[0] / largest.sum():.0%} of the variance"


def test_letters_of_one_place_are_moved_apart():
    vectors = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    (axes,) = embedding_scatter(list("abcd"), vectors).axes
    places = np.array([text.get_position() for text in axes.texts])
    gaps = np.hypot(*(places[:, None] - places).transpose(2, 0, 1)) + np.eye(4)
    assert gaps.min() > 0.04


def test_surprise_is_a_bar_for_each_symbol():
    (axes,) = surprise_bars(["A", "$", "¶"], np.array([1.0, 4.5, 0.5])).axes
    assert [bar.get_height() for bar in axes.patches] == [1.0, 4.5, 0.5]
    assert names_of(axes.get_xticklabels()) == ["A", "$", "¶"]
    assert_array_equal(labelled(axes)["average 2.00 bits"][1], [2.0, 2.0])


def test_attention_has_a_map_for_each_head_without_the_future(random):
    maps = random.random((2, 3, 4, 4))
    figure = attention_maps(list("¶abc"), maps)
    drawn = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in drawn[2:4]] == ["layer 1, head 3", "layer 2, head 1"]
    for axes, expected in zip(drawn, maps.reshape(6, 4, 4), strict=True):
        shown = axes.images[0].get_array()
        assert_array_equal(shown.mask, np.triu(np.ones((4, 4), bool), 1))
        assert_array_equal(shown.filled(0.0), np.tril(expected))


def test_histograms_are_densities_with_their_moments(random):
    wide, narrow = random.normal(size=(400, 50)), np.tanh(random.normal(size=(400, 50)))
    figure = activation_histograms({"one": wide}, {"one": narrow}, ["one"])
    above, below = figure.axes
    ((across, density),) = labelled(above).values()
    assert density.sum() * (across[1] - across[0]) == pytest.approx(1.0)
    normal = np.exp(-(across**2) / 2) / np.sqrt(2 * np.pi)
    assert_allclose(density, normal, atol=0.04)
    (label,) = labelled(below)
    assert label.endswith(f"{(np.abs(narrow) > 0.97).mean():.1%} saturated")
    assert f"deviation {narrow.std():.2f}" in label


def test_gradients_of_units_and_of_matrices_have_axes_of_their_own(random):
    figure = gradient_histograms({"layer": random.normal(size=(50, 9))}, {"w": np.full((3, 3), 2.0)})
    assert [list(labelled(axes)) for axes in figure.axes] == [
        [next(iter(labelled(figure.axes[0])))],
        ["w: deviation 0"],
    ]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]


def test_a_saturated_unit_is_white_and_a_dead_one_is_counted():
    values = np.array([[0.0, 0.98, -0.5], [-0.99, -0.98, 0.97]])
    (axes,) = saturation_maps({"layer 1": values}).axes
    assert_array_equal(axes.images[0].get_array(), [[0, 1, 0], [1, 1, 0]])
    assert axes.images[0].cmap(1.0)[:3] == (1.0, 1.0, 1.0)
    assert axes.get_title() == "layer 1: 50.0% saturated (white), 1 of 3 units dead"


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_becomes_a_file_that_is_always_the_same(tmp_path, ending, begins):
    written = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.{ending}"
        save_figure(surprise_bars(["a", "ꙮ", "¶"], np.array([1.0, 2.0, 3.0])), path)  # no font has the second
        written.append(path.read_bytes())
    assert written[0].startswith(begins)
    assert written[0] == written[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{ending}", f"two.{ending}"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match=r"nowhere.*cannot be written: no such file"):
        save_figure(new_figure(1, 1)[0], tmp_path / "nowhere" / "figure.png")
