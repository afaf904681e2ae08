"""Pictures, DOT text and the page: everything in the graph is there once, and everything is well-formed."""

import json
import random
import re
import xml.etree.ElementTree as ET

import pytest

from spellout import MLP, Value, draw
from spellout.errors import GraphError, UsageError, ValueTypeError
from spellout.pictures.layout import arrange

SVG = "{http://www.w3.org/2000/svg}"


def read(svg):
    root = ET.fromstring(svg)
    nodes = {g.get("id"): "".join(g.itertext()) for g in root.iter(f"{SVG}g")}
    edges = {p.get("id"): p.get("d") for p in root.iter(f"{SVG}path") if p.get("id")}
    return root, nodes, edges


def neuron():
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    o = (x1 * w1 + x2 * w2 + b).tanh()
    o.label = "o"
    o.backward()
    return o


def test_labels_operations_data_and_gradients_are_shown():
    _, nodes, edges = read(draw(neuron()).svg())
    assert len(nodes) == 10
    assert len(edges) == 9
    (x1,) = [text for text in nodes.values() if text.startswith("x1")]
    assert "data 2.0000" in x1
    assert "grad -1.5000" in x1
    (o,) = [text for text in nodes.values() if text.startswith("o = tanh")]
    assert "data 0.7071" in o


def test_a_shared_node_is_drawn_once_and_both_edges_of_a_plus_a_apart():
    a = Value(3.0, label="a")
    _, nodes, edges = read(draw(a + a).svg())
    assert len(nodes) == 2
    assert len(edges) == len(set(edges.values())) == 2
    assert draw(a + a).dot().count(" -> op1;") == 2


def test_one_value_constants_and_labels_that_are_long_or_look_like_markup():
    _, nodes, edges = read(draw(Value(1.0)).svg())
    assert (len(nodes), len(edges)) == (1, 0)
    v = Value(1.0, label='<b>"&' + "x" * 100)
    root, nodes, _ = read(draw(v**2).svg())
    assert any(text.startswith('<b>"&') for text in nodes.values())
    assert "grad" not in nodes["n1"]  # the exponent, a constant
    assert float(root.get("width")) < 700
    assert r"\<b\>\"&" in draw(v).dot()


def test_a_label_of_control_characters_is_still_a_document():
    v = Value(1.0, label="a\x00b\nc\ud800")
    _, nodes, _ = read(draw(v + v).svg())
    assert nodes["n0"].startswith("a·b·c·")


def boxes_of(svg):
    root, _, _ = read(svg)
    return [
        tuple(float(r.get(key)) for key in ("x", "y", "width", "height"))
        for r in root.iter(f"{SVG}rect")
        if r.get("class") == "box"
    ]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_do_not_overlap_and_lie_inside(seed):
    rng = random.Random(seed)
    pool = [Value(rng.random(), label="a" * rng.randint(0, 30)) for _ in range(4)]
    for _ in range(60):
        a, b = rng.choices(pool[-9:], k=2)
        pool.append(rng.choice([a + b, a * b, a.tanh(), a**2]))
    svg = draw(sum(pool)).svg()
    root, _, _ = read(svg)
    boxes = boxes_of(svg)
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= float(root.get("width"))
        assert y + h <= float(root.get("height"))
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_every_result_is_to_the_right_of_its_arguments():
    parents = [(), (), (0, 1), (2, 0), (3, 3, 1)]
    layout = arrange(parents, [(50.0, 20.0)] * 5)
    for i, places in enumerate(parents):
        for p in places:
            assert layout.corners[p][0] < layout.corners[i][0]
    assert len(layout.edges) == 7


def test_a_tree_has_no_crossings():
    level = [Value(float(i)) for i in range(16)]
    while len(level) > 1:
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=True)]
    drawing = draw(level[0])
    layout = arrange([box.parents for box in drawing.boxes], [(50.0, 20.0)] * len(drawing.boxes))
    leaves = [layout.corners[i][1] for i, box in enumerate(drawing.boxes) if not box.parents]
    assert leaves == sorted(leaves)


def test_a_thousand_nodes_are_drawn_and_more_are_a_sentence():
    chain = Value(1.0)
    for _ in range(499):
        chain = chain * 1.01
    _, nodes, _ = read(draw(chain).svg())
    assert len(nodes) == 999
    big = draw(chain * 2)
    sentence = "A graph of 1,001 values: 501 given, 500 mul. That is too many to draw (the limit is 1,000)"
    assert sentence in big.summary
    assert "1,001 values" in ET.fromstring(big.svg()).find(f"{SVG}title").text
    assert "1,001 values" in big.dot()
    assert "1,001 values" in big.html()
    assert len(draw(chain * 2, limit=2000).boxes) == 1001


def test_a_notebook_shows_it_and_it_says_what_it_is():
    drawing = draw(neuron())
    assert drawing._repr_svg_() == drawing.svg()
    assert repr(drawing) == "<drawing: A graph of 10 values: 5 given, 2 mul, 2 add, 1 tanh.>"
    assert drawing.render("dot") == drawing.dot()
    with pytest.raises(UsageError, match="svg, dot or html"):
        drawing.render("png")
    with pytest.raises(ValueTypeError):
        draw(3.0)


def steps_of(page):
    return json.loads(re.search(r"const steps = (.*);\n", page).group(1))


def test_the_page_plays_the_same_gradients_as_backward():
    root = MLP(2, [3, 1], activation="tanh", rng=random.Random(1))([0.5, -1.0])
    root.backward()
    drawing = draw(root)
    last = {}
    for step in steps_of(drawing.html()):
        last.update(step["set"])
    for i, box in enumerate(drawing.boxes):
        if box.kind != "constant":
            assert last[f"n{i}"] == f"grad {box.grad:.4f}"


def test_a_drawing_is_as_the_graph_was_when_it_was_drawn():
    x = Value(2.0, label="x")
    y = x * x
    drawing = draw(y)
    x.data = 9.0
    assert "data 2.0000" in drawing.svg()
    assert steps_of(drawing.html())[2]["say"].endswith("x.grad = 2 + 1 · 2 = 4")
    with pytest.raises(GraphError, match="compute it again"):
        draw(y).html()


def test_the_page_is_complete_in_itself_and_cannot_be_broken_by_a_label():
    a = Value(2.0, label="</script><script>alert(1)</script>")
    page = draw(a * a).html()
    assert page.count("</script>") == 1
    assert not re.search(r"""(src|href)\s*=|https?://(?!www\.w3\.org)|url\(|@import|fetch\(""", page)
    say = steps_of(page)[2]["say"]
    assert say.splitlines()[1:] == [
        "  </script><script>alert(1)</script>.grad = 0 + 1 · 2 = 2",
        "  </script><script>alert(1)</script>.grad = 2 + 1 · 2 = 4",
    ]
