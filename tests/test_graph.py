"""The graph: the book's shop, branches, buffers, and the orders in which it can be run."""

import numpy as np
import pytest
from layer_examples import layer_examples

from dlscratch.graph import Graph, Variable
from dlscratch.layers import Add, Affine, Identity, Layer, Mul, ReLU, Sigmoid, SoftmaxWithLoss, Tanh
from dlscratch.models import Sequential

EXAMPLES = layer_examples()


def shop():
    variables = [Variable(name, value) for name, value in (
        ("apples", 2), ("apple", 100), ("orange", 150), ("oranges", 3), ("tax", 1.1))]  # fmt: skip
    apples, apple, orange, oranges, tax = variables
    return variables, Graph((apple * apples + orange * oranges) * tax)


def test_two_apples_with_tax():
    apple, apples, tax = Variable("apple", 100), Variable("apples", 2), Variable("tax", 1.1)
    graph = Graph(apple * apples * tax)
    assert graph.forward() == pytest.approx(220)
    graph.backward()
    assert [v.grad for v in (apple, apples, tax)] == pytest.approx([2.2, 110, 200])


def test_apples_and_oranges_with_tax():
    variables, graph = shop()
    assert graph.forward() == pytest.approx(715)
    graph.backward()
    assert [v.grad for v in variables] == pytest.approx([110, 2.2, 3.3, 165, 650])


def test_a_graph_runs_again_with_new_values():
    variables, graph = shop()
    graph.forward()
    variables[0].value = 4
    assert graph.forward() == pytest.approx(935)


def test_backward_twice_gives_the_same_gradient_and_not_its_double():
    variables, graph = shop()
    graph.forward()
    graph.backward()
    graph.backward()
    assert variables[-1].grad == pytest.approx(650)


def test_constants_join_a_graph_and_get_no_gradient():
    x = Variable("x", np.array([1.0, 2.0], np.float32))
    graph = Graph(2 * x + 1.5)
    np.testing.assert_array_equal(graph.forward(), [3.5, 5.5])
    assert graph.output.value.dtype == np.float32
    graph.backward()
    np.testing.assert_array_equal(x.grad, [2, 2])
    assert all(leaf.grad is None for leaf in graph.leaves if leaf is not x)


def test_an_array_times_a_variable_is_one_node():
    x = Variable("x", np.array([1.0, 2.0]))
    graph = Graph(np.array([3.0, 4.0]) * x)
    np.testing.assert_array_equal(graph.forward(), [3, 8])
    assert len(graph.nodes) == 1


def test_a_branch_sums_its_gradients():
    x = Variable("x", np.array([[1.0, -2.0, 3.0]]))
    graph = Graph(Tanh()(x) + Sigmoid()(x) + x + x)
    for _ in range(3):  # the second and third time in the same memory
        graph.forward()
        graph.backward()
        s = 1 / (1 + np.exp(-x.value))
        np.testing.assert_allclose(x.grad, 1 - np.tanh(x.value) ** 2 + s * (1 - s) + 2)


def test_a_variable_times_itself_gets_both_shares():
    x = Variable("x", np.array([3.0, -4.0]))
    graph = Graph(x * x)
    graph.forward()
    graph.backward()
    np.testing.assert_array_equal(x.grad, [6, -8])


def test_a_residual_block_has_the_gradient_of_both_ways(rng):
    layer = Affine(3, 3, rng=rng, dtype=np.float64)
    x = Variable("x", rng.standard_normal((4, 3)))
    graph = Graph(x + ReLU()(layer(x)))
    y = graph.forward()
    np.testing.assert_allclose(y, x.value + np.maximum(x.value @ layer.W, 0))
    graph.backward()
    mask = x.value @ layer.W > 0
    np.testing.assert_allclose(x.grad, 1 + mask @ layer.W.T)
    np.testing.assert_allclose(layer.dW, x.value.T @ mask)


def test_a_diamond_is_visited_once():
    x = Variable("x", np.array([2.0]))
    y = x
    for _ in range(60):  # 2^60 paths
        y = y + y
    graph = Graph(y)
    assert len(graph.nodes) == 60
    graph.forward()
    graph.backward()
    np.testing.assert_array_equal(x.grad, [2.0**60])


def test_a_chain_of_thousands_needs_no_recursion():
    x = y = Variable("x", np.array([1.0]))
    for _ in range(5000):
        y = Identity()(y)
    graph = Graph(y)
    graph.forward()
    graph.backward()
    np.testing.assert_array_equal(x.grad, [1])


class View(Layer):
    """y is a view of x, and dx a view of dy"""

    def forward(self, x, out=None):
        return x.reshape(-1)

    def backward(self, dy, x, y, out=None):
        return dy.reshape(x.shape)


class Through(Layer):
    """y is x itself, dx is dy itself"""

    def forward(self, x, out=None):
        assert out is None
        return x

    def backward(self, dy, x, y, out=None):
        assert out is None
        return dy


class Twin(Layer):
    """y = a + b, with one new array as the gradient of both"""

    def forward(self, a, b, out=None):
        return np.add(a, b, out=out)

    def backward(self, dy, a, b, y, out=(None, None)):
        if out[1] is None:
            dx = np.multiply(dy, 1, out=out[0])
            return dx, dx
        return np.multiply(dy, 1, out=out[0]), np.multiply(dy, -1, out=out[1])  # as if they were different


def test_views_and_pass_throughs_are_never_handed_back_as_memory(rng):
    x = Variable("x", rng.standard_normal((2, 3)))
    once = Through()(x)
    graph = Graph(View()(Twin()(once, Tanh()(once))))
    for _ in range(3):
        x.value = rng.standard_normal((2, 3))
        before = x.value.copy()
        y = graph.forward()
        np.testing.assert_allclose(y, (x.value + np.tanh(x.value)).ravel())
        graph.backward()
        np.testing.assert_array_equal(x.value, before)
        np.testing.assert_allclose(x.grad, 2 - np.tanh(x.value) ** 2)


def test_arrays_are_reused_on_the_second_run_and_made_anew_for_another_shape(rng):
    x = Variable("x", rng.standard_normal((2, 3)))
    graph = Graph(Tanh()(Sigmoid()(x)))

    def run():
        y = graph.forward()
        graph.backward()
        return y, x.grad

    first, second = run(), run()
    assert all(a is b for a, b in zip(first, second, strict=True))
    x.value = rng.standard_normal((5, 3))
    third = run()
    assert third[0].shape == third[1].shape == (5, 3)
    x.value = x.value.astype(np.float32)
    assert run()[0].dtype == np.float32


def test_nothing_is_computed_for_what_needs_no_gradient(rng):
    class NoBackward(Tanh):
        def backward(self, *args, **kwargs):
            raise AssertionError("nobody needs this gradient")

    x, t = Variable("x", rng.standard_normal((2, 3)), requires_grad=False), Variable("t", np.array([0, 1]))
    layer = Affine(3, 4, rng=rng, dtype=np.float64)
    graph = Graph(SoftmaxWithLoss()(layer(NoBackward()(x)), t))
    graph.forward()
    graph.backward()
    assert x.grad is None
    assert t.grad is None
    assert layer.dW.any()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_prediction_between_forward_and_backward_harms_nothing(example):
    layer, inputs = example
    variables = [Variable(f"input {i}", x) for i, x in enumerate(inputs)]
    graph = Graph(layer(*variables))

    def gradients():
        graph.backward()
        arrays = [v.grad for v in variables] + list(layer.grads.values())
        return [None if array is None else np.copy(array) for array in arrays]

    graph.forward()
    expected = gradients()
    one_batch = len({len(x) for x in inputs if x.ndim}) == 1
    fewer = [x[:2] if one_batch and (x.ndim > 1 or x.dtype.kind == "i") and x.ndim else x for x in inputs]
    values = graph.predict(dict(zip(variables, fewer, strict=True)))
    assert values[graph.output] is not graph.output.value
    for array, old in zip(gradients(), expected, strict=True):
        assert (array is None) == (old is None)
        if old is not None:
            np.testing.assert_array_equal(array, old)


def test_backward_needs_a_forward_that_came_to_its_end(rng):
    x = Variable("x", np.ones((2, 3)))
    graph = Graph(Affine(3, 2, rng=rng)(x))
    with pytest.raises(RuntimeError, match=r"differentiates the last forward\(\), and there is none"):
        graph.backward()
    graph.forward()
    x.value = np.ones((2, 4))
    with pytest.raises(ValueError, match="expects x of shape"):
        graph.forward()
    with pytest.raises(RuntimeError, match="call forward"):
        graph.backward()


def test_a_variable_without_value_is_named():
    with pytest.raises(ValueError, match=r"Variable\(images\) has no value"):
        Graph(ReLU()(Variable("images"))).forward()


def test_a_graph_without_layers_is_refused():
    with pytest.raises(ValueError, match=r"Variable\(x\) is not connected to anything"):
        Graph(Variable("x"))


def test_a_layer_that_returns_no_array_is_named():
    class AsList(ReLU):
        def forward(self, x, out=None):
            return [1.0, 2.0]

    with pytest.raises(
        ValueError, match=r"layer 1 of 2: AsList\(\)\.forward returned a list; it expects to return the"
    ):
        Graph(Tanh()(AsList()(Variable("x", np.ones(2))))).forward()


def test_whatever_goes_wrong_in_a_layer_is_told_with_its_place():
    class NoBackward(Layer):
        def forward(self, x, out=None):
            return np.negative(x, out=out)

    graph = Graph(Tanh()(NoBackward()(Variable("x", np.ones(2)))))
    graph.forward()
    with pytest.raises(AttributeError, match=r"layer 1 of 2, NoBackward\(\): .* no attribute 'backward'"):
        graph.backward()
    with pytest.raises(TypeError, match=r"layer 1 of 1, Add\(\), cannot take \(\): .* missing 1 required .* 'b'"):
        Graph(Add()(Variable("x", 1.0))).forward()


def test_a_variable_whose_name_is_its_value_is_refused():
    with pytest.raises(TypeError, match=r'expects a name and a value, as in Variable\("x", 3\.0\), got 3'):
        Variable(3)


def test_all_operators_by_hand():
    a, b = Variable("a", 6.0), Variable("b", 2.0)
    graph = Graph((10 - a) / b - -a / 3 - 1 / b)
    assert graph.forward() == pytest.approx(3.5)
    graph.backward()
    assert [a.grad, b.grad] == pytest.approx([-1 / 2 + 1 / 3, -4 / 4 + 1 / 4])
    row, column = Variable("row", np.array([[1.0, 2]])), Variable("column", np.array([[3.0], [4]]))
    product = Graph(row @ column)
    assert product.forward() == 11
    product.backward()
    np.testing.assert_array_equal(row.grad, [[3, 4]])
    np.testing.assert_array_equal(column.grad, [[1], [2]])
    assert Graph(np.array([[1.0, 1]]) @ column).forward() == 7


# Weight sharing


def test_a_layer_used_twice_adds_the_gradients_of_both_uses_by_hand(rng):
    layer = Affine(1, 1, rng=rng, dtype=np.float64)
    layer.W[...], layer.b[...] = 3, 1
    x = Variable("x", np.array([[2.0]]))
    graph = Graph(layer(layer(x)))
    for _ in range(2):  # and not those of the last time
        assert graph.forward() == 3 * (3 * 2 + 1) + 1
        graph.backward()
        assert layer.dW == 3 * 2 + (3 * 2 + 1)
        assert layer.db == 3 + 1
        assert x.grad == 9


@pytest.mark.parametrize("example", [each for each in EXAMPLES if len(each.inputs) == 1], ids=str)
def test_a_shared_layer_does_what_one_layer_for_each_use_would_do(example):
    """Whatever it remembers of each use."""
    layer, (x,) = example
    apart = [layer.copy(), layer.copy()]
    if "rng" in vars(layer):
        apart[1].rng = apart[0].rng  # one stream, as of one layer
        layer = layer.copy()
    graphs = []
    for first, second in ((layer, layer), apart):
        a, b, c = Variable("a", x), Variable("b", x[::-1].copy()), Variable("c", 2.0, requires_grad=False)
        graph = Graph(first(a) + c * second(b))
        for _ in range(2):
            graph.forward()
            graph.backward()
        graphs.append((a.grad, b.grad, graph.output.value))
    for shared, lonely in zip(*graphs, strict=True):
        np.testing.assert_allclose(shared, lonely, rtol=1e-12, atol=1e-12)
    for name, grad in layer.grads.items():
        np.testing.assert_allclose(grad, sum(each.grads[name] for each in apart), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.layer.remembers], ids=str)
def test_what_a_layer_remembers_of_one_graph_is_not_taken_for_another(example):
    layer, inputs = example
    batches = [inputs, tuple(x[::-1] if x.ndim else x for x in inputs)]
    graphs = [Graph(layer(*(Variable(str(i), x) for i, x in enumerate(batch)))) for batch in batches]
    expected = []
    for graph in graphs:
        graph.forward()
        graph.backward()
        expected.append(graph.leaves[0].grad.copy())
    for graph, grad in zip(graphs, expected, strict=True):
        graph.backward()
        np.testing.assert_array_equal(graph.leaves[0].grad, grad)


def test_a_layer_in_a_hundred_places_of_a_net_trains(rng):
    layer = Affine(3, 3, rng=rng, init=lambda _, __: 0.1)
    net = Sequential(*[layer, Tanh()] * 100)
    assert len(net.layers) == 1 + 100 + 1 - 99
    assert net.params.size == 12
    assert "shared" in repr(net)


def test_a_layer_that_remembers_nothing_may_be_used_again():
    x, add, mul = Variable("x", np.array([2.0])), Add(), Mul()
    graph = Graph(mul(add(x, x), add(x, mul(x, x))))
    graph.forward()
    graph.backward()
    np.testing.assert_array_equal(x.grad, [4 * 2 + 6 * 2**2])  # d/dx 2x (x + x²) = 4x + 6x²


def test_scalar_branches_run_again():
    x = Variable("x", 3.0)
    graph = Graph(x * x + x + x)
    for value in (3.0, 5.0):
        x.value = value
        assert graph.forward() == value**2 + 2 * value
        graph.backward()
        assert x.grad == 2 * value + 2


def test_a_branch_takes_another_batch_shape_and_allocates_nothing_when_warm(rng):
    x = Variable("x", rng.standard_normal((2, 3)))
    graph = Graph(Tanh()(x) + Sigmoid()(x))
    for shape in ((2, 3), (5, 3), (2, 3)):
        x.value = rng.standard_normal(shape)
        sums = []
        for _ in range(2):
            graph.forward()
            graph.backward()
            sums.append(x.grad)
        assert sums[0] is sums[1]
        assert x.grad.shape == shape


def test_a_forward_that_fails_at_the_same_shapes_leaves_nothing_to_differentiate(rng):
    x, t = Variable("x", rng.standard_normal((2, 3))), Variable("t", np.array([0, 1]))
    graph = Graph(SoftmaxWithLoss()(x, t))
    graph.forward()
    t.value = np.array([0, 7])
    with pytest.raises(ValueError, match="labels for 3 classes are 0 to 2, got 7"):
        graph.forward()
    with pytest.raises(RuntimeError, match="call forward"):
        graph.backward()


def test_prediction_knows_the_constants_of_a_graph():
    x = Variable("x", np.array([1.0]))
    graph = Graph(x * 3 + 1)
    assert graph.predict({x: np.array([5.0])})[graph.output] == [16]


def test_numpy_scalars_do_not_turn_float32_into_float64():
    x = Variable("x", np.ones(3, np.float32))
    graph = Graph(x * np.sqrt(0.5) + np.float64(1))
    assert graph.forward().dtype == np.float32


class WrongShape(Tanh):
    def backward(self, dy, x, y, out=None):
        return dy[:, :1]


class StackedPair(Add):
    def backward(self, dy, a, b, y, out=(None, None)):
        return np.stack([dy, dy, dy])


def test_a_gradient_of_another_shape_is_never_broadcast(rng):
    x = Variable("x", rng.standard_normal((5, 3)))
    for output in (WrongShape()(x) + x, StackedPair()(x, x)):
        graph = Graph(output)
        graph.forward()
        with pytest.raises(ValueError, match=r"backward expects to return gradients of the shapes .*\(5, 3\).* got"):
            graph.backward()


class KeepsItsOutput(Tanh):
    """A layer that remembers, written without a thought for prediction"""

    remembers = ("kept",)

    def forward(self, x, out=None):
        self.kept = np.tanh(x)
        return np.positive(self.kept, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 1 - self.kept**2, out=out)


def test_prediction_leaves_alone_what_a_layer_remembers(rng):
    x = Variable("x", rng.standard_normal((5, 3)))
    graph = Graph(KeepsItsOutput()(x))
    graph.forward()
    graph.predict({x: np.zeros((5, 3))})
    graph.backward()
    np.testing.assert_allclose(x.grad, 1 - np.tanh(x.value) ** 2)


class ForgetsToReturn(Tanh):
    def backward(self, dy, x, y, out=None):
        super().backward(dy, x, y, out=out)


class AddForgetsToReturn(Add):
    def backward(self, dy, a, b, y, out=(None, None)):
        super().backward(dy, a, b, y, out=out)


class ForwardForgetsToReturn(Tanh):
    def forward(self, x, out=None):
        super().forward(x, out=out)


def test_a_layer_that_forgets_to_return_is_named():
    x = Variable("x", np.ones((2, 3)))
    graph = Graph(ForgetsToReturn()(x))
    graph.forward()
    with pytest.raises(ValueError, match=r"ForgetsToReturn\(\)\.backward expects to return gradients .* got \[None\]"):
        graph.backward()
    graph = Graph(AddForgetsToReturn()(x, x))
    graph.forward()
    with pytest.raises(ValueError, match=r"AddForgetsToReturn\(\)\.backward expects to return gradients .* got \[\]"):
        graph.backward()
    with pytest.raises(ValueError, match=r"ForwardForgetsToReturn\(\)\.forward returned None"):
        Graph(ForwardForgetsToReturn()(x)).forward()
