"""The drawn graph: the book's numbers on its arrows, nothing over anything else, and no crossing without need."""

import re
import struct
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest
from svg_geometry import Picture

from dataset.strokes import load_strokes
from dlscratch.graph import Graph, Variable
from dlscratch.graph_drawing.columns import columns_of, ranks
from dlscratch.graph_drawing.fold import WIDEST, fold
from dlscratch.graph_drawing.glance import number, picture, png, spread, summary
from dlscratch.graph_drawing.layout import Box, Layout
from dlscratch.graph_drawing.order import best_columns, crossings_of
from dlscratch.graph_drawing.sketch import sketch
from dlscratch.graph_drawing.spacing import nearest
from dlscratch.graph_drawing.svg import LARGEST
from dlscratch.layers import Affine, BatchNormalization, Exp, Flatten, Log, ReLU, Reshape, Sum, Tanh
from dlscratch.models import ResidualMLP, Sequential, SimpleConvNet, TwoLayerNet


def shop():
    prices = [("apple", 100), ("apples", 2), ("orange", 150), ("oranges", 3), ("tax", 1.1)]
    apple, apples, orange, oranges, tax = (Variable(name, value) for name, value in prices)
    return Graph((apple * apples + orange * oranges) * tax)


def there_and_back(graph):
    graph.forward()
    graph.backward()
    return graph


def japanese_shop():
    apple, apples, tax = Variable("りんご", 100), Variable("りんごの個数", 2), Variable("消費税", 1.1)
    return Graph(apple * apples * tax)


def residual_block():
    rng = np.random.default_rng(0)
    x = Variable("x", rng.standard_normal((5, 8)))
    return Graph(x + ReLU()(Affine(8, 8, rng=rng, dtype=np.float64)(x)))


def shared_layer():
    rng = np.random.default_rng(0)
    affine = Affine(4, 4, rng=rng, dtype=np.float64)
    return Graph(Sum()(Tanh()(affine(Tanh()(affine(Variable("x", rng.standard_normal((5, 4)))))))))


def diamond():
    x = Variable("x", 0.5)
    return Graph(Tanh()(x) + ReLU()(x))


def network(net):
    (x, t), _ = load_strokes(train_size=5, test_size=0)
    net.loss(x, t)
    net.backward()
    return net.loss_graph


def two_layer_net():
    return network(TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0)))


def residual_net():
    return network(ResidualMLP(784, 20, 3, 10, rng=np.random.default_rng(0)))


def convnet():
    return network(SimpleConvNet((1, 28, 28), 20, 10, rng=np.random.default_rng(0), filters=4))


def normalized_net():
    rng = np.random.default_rng(0)
    return network(Sequential(Affine(784, 20, rng=rng), BatchNormalization(20), ReLU(), Affine(20, 10, rng=rng)))


def nested(x, size, rng):
    """A random series-parallel expression, with constants and inputs here and there."""
    if size == 1:
        return [Tanh()(x), x * 2, x * Variable(f"w{rng.integers(1000)}", 2.0)][rng.integers(3)]
    first = int(rng.integers(1, size))
    if rng.random() < 0.5:
        return nested(nested(x, first, rng), size - first, rng)
    return nested(x, first, rng) - (x if rng.random() < 0.3 else nested(x, size - first, rng))


def symbols():
    x, y, z = (Variable(name, np.ones((2, 2))) for name in "xyz")
    return Graph(Exp()(x @ y) - Log()(z / 3 + 1))


def series_parallel(seed):
    rng = np.random.default_rng(seed)
    return lambda: Graph(nested(Variable("x", 1.0), int(rng.integers(3, 16)), rng))


PLANAR = [
    symbols,
    shop, japanese_shop, residual_block, shared_layer, diamond, two_layer_net, residual_net, convnet, normalized_net,
    *(pytest.param(series_parallel(seed), id=f"series-parallel-{seed}") for seed in range(8)),
]  # fmt: skip


def numbers(graph):
    """What stands above and below the arrows, by the titles of the places between which they lead."""
    places, arrows = sketch(graph)
    return [(places[a.start].title, places[a.end].title, *a.value, a.grad) for a in arrows]


def test_two_apples_with_tax():
    assert numbers(there_and_back(japanese_shop())) == [
        ("りんご", "×", "100", "2.2"), ("りんごの個数", "×", "2", "110"),
        ("×", "×", "200", "1.1"), ("消費税", "×", "1.1", "200"), ("×", "", "220", "1"),
    ]  # fmt: skip


def test_apples_and_oranges_with_tax():
    assert sorted(numbers(there_and_back(shop()))) == sorted([
        ("apple", "×", "100", "2.2"), ("apples", "×", "2", "110"), ("orange", "×", "150", "3.3"),
        ("oranges", "×", "3", "165"), ("×", "+", "200", "1.1"), ("×", "+", "450", "1.1"),
        ("+", "×", "650", "1.1"), ("tax", "×", "1.1", "650"), ("×", "", "715", "1"),
    ])  # fmt: skip
    drawn = Picture(there_and_back(shop()).to_svg()).words
    assert {"apple", "150", "3.3", "650", "715", "+", "×", "value", "gradient"} <= set(drawn)


def test_values_come_with_forward_and_gradients_with_backward():
    graph = shop()
    assert {words for _, _, *words in numbers(graph) for words in words} == {""}
    assert "value" not in Picture(graph.to_svg()).words
    graph.forward()
    assert ("+", "×", "650", "") in numbers(graph)
    assert "gradient" not in Picture(graph.to_svg()).words
    graph.backward()
    assert ("+", "×", "650", "1.1") in numbers(graph)
    graph.forward()
    assert ("+", "×", "650", "") in numbers(graph), "the gradients are those of the run before"


def test_a_branch_shows_each_gradient_and_their_sum():
    x = Variable("x", 3.0)
    drawn = numbers(there_and_back(Graph(x * x + 2 * x)))
    assert drawn[0] == ("x", "", "3", "8")
    assert sorted(words[-1] for start, end, *words in drawn if (start, end) == ("", "×")) == ["2", "3", "3"]


@pytest.mark.parametrize("make", PLANAR)
def test_the_shares_of_a_branch_add_up_to_its_gradient(make):
    graph = there_and_back(make())
    shares = {}
    for node in graph.nodes:
        for variable, share in zip(node.inputs, node.shares, strict=True):
            shares.setdefault(variable, []).append(share)
    for variable in (variable for variable in shares if variable.requires_grad):
        np.testing.assert_allclose(sum(shares[variable]), variable.grad, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("make", PLANAR)
def test_nothing_lies_over_anything_else_and_no_arrows_cross(make):
    graph = make()
    for svg in (graph.to_svg(), there_and_back(graph).to_svg()):
        drawn = Picture(svg)
        assert drawn.overlaps() == []
        assert drawn.run_over() == []
        assert drawn.crossings() == 0


def test_what_cannot_be_drawn_without_crossings_crosses_once():
    a, b = Variable("a", 3.0), Variable("b", 2.0)
    drawn = Picture(there_and_back(Graph((a + b) * (a * b))).to_svg())
    assert drawn.overlaps() == drawn.run_over() == []
    assert drawn.crossings() == 1


def series(length):
    x = total = Variable("x", 2.0)
    for factor in range(length):
        total = total + x * float(factor)
    return Graph(total)


def test_a_branch_with_many_arms_is_drawn_without_crossings():
    drawn = Picture(series(50).to_svg())
    assert drawn.overlaps() == []
    assert drawn.crossings() == 0


def test_what_is_too_large_for_a_picture_is_told_and_still_written_for_graphviz():
    chain = Variable("x")
    for _ in range(LARGEST + 1):
        chain = Tanh()(chain)
    with pytest.raises(ValueError, match="a graph of 501 operations is not drawn as a picture"):
        Graph(chain).to_svg()
    assert Graph(chain).to_dot().count("Tanh") == LARGEST + 1
    assert Graph(chain)._repr_svg_() is None  # so that a notebook shows it as text


@pytest.mark.parametrize("seed", range(5))
def test_crossings_are_counted_as_one_would_by_hand(seed):
    rng = np.random.default_rng(seed)
    links = [(int(rng.integers(end)), end) for end in range(1, 12)] + [(int(rng.integers(11)), 11) for _ in range(9)]
    columns = columns_of(links, ranks(12, links, roomy=False))
    row = {point: i for column in columns.order for i, point in enumerate(column)}
    count = 0
    for column in columns.order:
        edges = [(row[point], row[other]) for point in column for other in columns.after[point]]
        count += sum(a < c and b > d for a, b in edges for c, d in edges)
    assert crossings_of(columns) == count > 0
    assert min(map(crossings_of, best_columns(12, links, []))) < count


def test_heights_that_are_too_near_part_evenly():
    """Wished for at 0, 0 and 9: the first two have to part, and only they."""
    heights = nearest(np.eye(3), np.array([0.0, 0.0, 9.0]), {(0, 1): 4.0, (1, 2): 4.0})
    np.testing.assert_allclose(heights, [-2, 2, 9], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_heights_at_their_distances_are_nearer(seed):
    rng = np.random.default_rng(seed)
    factors, vector = rng.standard_normal((20, 8)), 10 * rng.standard_normal(8)
    matrix = factors.T @ factors
    cost = lambda y: y @ matrix @ y / 2 - vector @ y  # noqa: E731
    heights = nearest(matrix, vector, {(i, i + 1): 1.0 for i in range(7)})
    assert np.diff(heights).min() > 1 - 1e-2
    for scale in (0.01, 0.1, 1.0):
        for _ in range(100):
            gaps = np.maximum(np.diff(heights) + scale * rng.standard_normal(7), 1)
            other = heights[0] + scale * rng.standard_normal() + np.array([0, *np.cumsum(gaps)])
            assert cost(other) >= cost(heights) - 1e-6


def test_distances_are_kept_even_if_there_is_no_time_for_more(monkeypatch):
    monkeypatch.setattr("dlscratch.graph_drawing.spacing.ROUNDS", 1)
    assert Picture(series(6).to_svg()).overlaps() == []


def test_a_wide_drawing_is_cut_into_rows_of_about_one_width():
    """Places 0, 1000 and 2000 on a line, cut between the last two: a row below the other, as far as boxes reach."""
    points = [(0.0, 0.0), (1000.0, 0.0), (2000.0, 0.0)]
    paths = [[points[0], points[1]], [points[1], points[2]]]
    drawing = Layout(points, [(500.0, 0.0), (1400.0, 0.0)], paths, [1450.0, 2000.0])
    folded = fold(drawing, [Box(above=30, below=70)] * 3, [Box()] * 2)
    assert folded.places == [(0, 0), (1000, 0), (550, 70 + 48 + 30)]
    assert folded.labels == [(500, 0), (1400, 0)]
    assert folded.paths == [[[(0, 0), (1000, 0)]], [[(1000, 0), (1450, 0)], [(0, 148), (550, 148)]]]
    one_row = fold(drawing._replace(cuts=[100.0, 2000.0]), [Box()] * 3, [Box()] * 2)
    assert one_row.places == points, "where a row would be too wide anyway"


def test_wide_nets_are_folded_and_the_others_are_not():
    assert not any("stub" in make().to_svg().partition("</style>")[2] for make in (shop, residual_block, two_layer_net))
    for make, rows in ((convnet, 2), (residual_net, 5)):
        svg = make().to_svg()
        assert Picture(svg).paper.right - Picture(svg).paper.left < WIDEST + 100
        assert svg.count('"line stub"') == 2 * (rows - 1)


@pytest.mark.parametrize("make", [shop, diamond, two_layer_net, normalized_net])
def test_the_same_graph_is_the_same_text(make):
    one, other = make(), make()
    assert one.to_svg() == other.to_svg() == one._repr_svg_()
    assert one.to_dot() == other.to_dot()


def test_a_chain_is_level():
    drawn = Picture(two_layer_net().to_svg())
    level = [path for path in drawn.paths if np.ptp(path[:, 1]) == 0]
    assert len(level) == len(drawn.paths) - 1, "only the targets come from elsewhere"


def test_parameters_and_buffers_hang_at_their_layer_by_the_names_of_the_network():
    places, _ = sketch(normalized_net())
    assert [(tensor.kind, tensor.name) for place in places for tensor in place.tensors] == [
        ("parameter", "W1"), ("parameter", "b1"), ("parameter", "gamma2"), ("parameter", "beta2"),
        ("buffer", "running_mean2"), ("buffer", "running_var2"), ("parameter", "W3"), ("parameter", "b3"),
    ]  # fmt: skip
    drawn = Picture(normalized_net().to_svg())
    kinds = [shape.what for shape in drawn.shapes]
    assert (kinds.count("parameter"), kinds.count("buffer")) == (6 + 1, 2 + 1), "and one each in the legend"


def test_parameters_of_a_shared_layer_are_told_once():
    places, _ = sketch(there_and_back(shared_layer()))
    first, second = (place.tensors for place in places if place.tensors)
    assert [(tensor.name, tensor.value[0]) for tensor in first] == [("W", "(4, 4)"), ("b", "(4,)")]
    assert [(tensor.name, tensor.value, tensor.grad) for tensor in second] == [
        ("W", ("shared",), ""), ("b", ("shared",), "")
    ]  # fmt: skip


def test_inputs_that_need_no_gradient_have_none():
    places, arrows = sketch(two_layer_net())
    grads = {places[arrow.start].title: arrow.grad for arrow in arrows}
    assert grads["x"] == grads["t"] == ""
    assert all(grads[title] for title in ("Affine", "ReLU", "SoftmaxWithLoss"))
    x, twice = Variable("x", 3.0), Variable("c", 2.0, requires_grad=False)
    drawn = numbers(there_and_back(Graph(x * twice + twice * twice)))
    assert [words[-1] for _, _, *words in drawn if words[0] == "2"] == [""] * 4


def test_names_of_variables_are_told():
    net = TwoLayerNet(4, 3, 2, rng=np.random.default_rng(0))
    assert {"x", "t", "scores", "loss"} <= set(Picture(net.to_svg()).words)
    assert "label=<scores>" in net.to_dot()


@pytest.mark.parametrize("name", ["a < b & c", "</text>", '"quoted"', "two\nlines", "\0", "\ud800", "x" * 99, "重み"])
def test_any_name_makes_valid_files(name):
    graph = Graph(Variable(name, 1.0) + 2)
    drawn = Picture(graph.to_svg())
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    assert [words for words in drawn.words if shown.startswith(words.rstrip("…"))]
    assert drawn.overlaps() == []
    graph.to_dot().encode("utf-8")


def test_a_picture_is_read_in_light_and_in_dark_mode_and_beside_others():
    root = ET.fromstring(there_and_back(shop()).to_svg())
    style = next(each.text for each in root.iter() if each.tag.endswith("style"))
    assert style.count("prefers-color-scheme:dark") == 1
    assert all(rule.startswith(".dlscratch ") for rule in style.partition("@media")[0].split("}") if rule)
    assert not [each for each in root.iter() if each.get("id")]


@pytest.mark.parametrize(
    ("formula", "count"),
    [(lambda x, y: (x - y) * (y - x), 2), (lambda x, y: Tanh()(x) * y - Tanh()(y) / x - Exp()(x), 4)],
)
def test_inputs_out_of_order_are_numbered_each_beside_the_head_of_its_arrow(formula, count):
    drawn = Picture(Graph(formula(Variable("x"), Variable("y"))).to_svg())
    texts = [text for text in drawn.texts if text.what in ("1", "2")]
    near = [text._replace(top=text.top - 6, bottom=text.bottom + 6) for text in texts]
    heads = [[head for head in drawn.heads if head.meets(text)] for text in near]
    assert list(map(len, heads)) == [1] * count
    assert len({head for (head,) in heads}) == count
    assert drawn.overlaps() == drawn.run_over() == []


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("formula", "lower"), [(lambda x: x - 1234, True), (lambda x: 1234 / x, False)])
def test_what_only_one_place_reads_lies_where_that_lists_it(seed, formula, lower):
    """So that no number has to tell 1 - x from x - 1."""
    drawn = Picture(Graph(formula(nested(Variable("x"), 5, np.random.default_rng(seed)))).to_svg())
    text = drawn.texts[drawn.words.index("1234")]
    own = min(drawn.paths, key=lambda path: abs(path[0] - (text.right, text.bottom)).sum())
    other = min((path for path in drawn.paths if path is not own), key=lambda path: abs(path[-1] - own[-1]).sum())
    assert lower == (own[-1, 1] > other[-1, 1])


def test_a_list_is_drawn_as_an_array():
    graph = there_and_back(Graph(Tanh()(Variable("x", [1.0, 3.0]))))
    assert numbers(graph)[0][2:4] == ("(2,)", "2.0 ± 1.0")


def test_dot_says_the_same():
    lines = there_and_back(Graph(Variable("a<b", 100) * Variable("n", 2))).to_dot().splitlines()
    assert lines[0] == "digraph {"
    assert lines[4:] == [
        "  n0 [shape=plaintext label=<a&lt;b>]",
        "  n1 [shape=plaintext label=<n>]",
        "  n2 [shape=circle label=<×>]",
        '  n3 [shape=plaintext label=""]',
        '  n0 -> n2 [label=<100<br/><font color="#b54708">2</font>>]',
        '  n1 -> n2 [label=<2<br/><font color="#b54708">100</font>>]',
        '  n2 -> n3 [label=<200<br/><font color="#b54708">1</font>>]',
        "}",
    ]


@pytest.mark.parametrize("make", PLANAR[:9])
def test_every_label_in_dot_is_well_formed(make):
    for line in there_and_back(make()).to_dot().splitlines():
        for label in re.findall(r"label=<(.*)>(?: arrowhead=none)?\]", line):
            ET.fromstring(f"<p>{label}</p>")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (220.00000000000003, "220"), (2.2, "2.2"), (-0.5, "−0.5"), (1e-05, "1e−5"), (1.5e10, "1.5e10"),
        (1234567, "1234567"), (1 / 3, "0.333333"), (float("nan"), "nan"), (float("-inf"), "−inf"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        ([1.0, 3.0], "2.0 ± 1.0"), ([0.0, 0.0], "all 0"), ([-0.1, 0.1], "0 ± 0.10"), ([1e6, 3e6], "2.0e6 ± 1.0e6"),
        ([1e-9, 3e-9], "2.0e−9 ± 1.0e−9"), ([1.0, np.nan, np.inf], "2 not finite"), ([], ""),
    ],
)  # fmt: skip
def test_arrays_are_told_by_mean_and_spread(array, text):
    assert spread(np.array(array)) == text


def test_whole_numbers_are_told_one_by_one():
    assert summary(np.array([5, 0, 4])) == ("(3,)", "5, 0, 4")
    assert summary(np.eye(7, dtype=np.int64)) == ("(7, 7)", "1, 0, 0, 0, 0, …")
    assert summary(np.empty((0, 3))) == ("(0, 3)",)


def test_pictures_are_of_the_first_image_of_an_input_and_of_the_weights_of_the_first_unit(rng):
    x = rng.random((3, 64))
    x[0, 0], x[0, 1] = 0, 1
    levels = picture(x, images="rows")
    assert levels.shape == (8, 8)
    assert levels[0, 0] == 0
    assert levels[0, 1] == 255
    weights = rng.standard_normal((64, 3))
    weights[0, 0] = 0
    levels = picture(weights, images="columns")
    assert levels.shape == (8, 8)
    assert levels[0, 0] == 128, "0 is mid-grey"
    assert picture(weights).shape == (64, 3)
    assert picture(rng.random((2, 3, 5, 4)), images="rows").shape == (5, 4)
    assert picture(rng.random((7, 5)), images="rows").shape == (7, 5)
    assert picture([[0, 1], [2, 3]]).tolist() == [[0, 85], [170, 255]]
    for nothing in (np.zeros((8, 8)), rng.random(64), rng.random((99, 2)), np.full((3, 3), np.nan), np.zeros((0, 64))):
        assert picture(nothing, images="rows") is None


def test_weights_are_images_only_where_they_are_laid_on_images(rng):
    affine = lambda d, m: Affine(d, m, rng=rng)  # noqa: E731
    net = Sequential(Reshape(1, 28, 28), Flatten(), affine(784, 64), ReLU(), affine(64, 100), ReLU(), affine(100, 10))
    places, _ = sketch(network(net))
    shapes = [tensor.picture.shape for place in places for tensor in place.tensors if tensor.picture is not None]
    assert shapes == [(28, 28)], "and neither (64, 100) nor (100, 10), which are too large to be shown as they are"


def test_png_holds_the_grey_levels():
    levels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    data = png(levels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (3, 2)
    size = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(2, 4)
    np.testing.assert_array_equal(rows, np.pad(levels, ((0, 0), (1, 0))))
