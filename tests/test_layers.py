"""Layers: each worked by hand, and the promises of the protocol, which hold for all of them."""

import numpy as np
import pytest
from duck_array import DuckArray
from layer_examples import gradients, layer_examples

from dlscratch.initializers import he, named, std, xavier
from dlscratch.layers import Add, Affine, IdentityWithLoss, Mul, ReLU, Sigmoid, Softmax, SoftmaxWithLoss, Tanh

EXAMPLES = layer_examples()

# Worked by hand


def test_affine_by_hand(rng):
    layer = Affine(2, 3, rng=rng, dtype=np.float64)
    layer.W[...] = [[1, 2, 3], [4, 5, 6]]
    layer.b[...] = [0.5, 0, -1]
    x, dy = np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    y, (dx,) = gradients(layer, x, dy=dy)
    np.testing.assert_array_equal(y, [[-2.5, -3, -4], [2.5, 4, 5]])
    np.testing.assert_array_equal(dx, [[7, 16], [2, 5]])
    np.testing.assert_array_equal(layer.dW, [[1, 2, 2], [-1, 0, -2]])
    np.testing.assert_array_equal(layer.db, [1, 1, 2])


def test_relu_by_hand_with_derivative_zero_at_zero():
    y, (dx,) = gradients(ReLU(), np.array([-1.0, 0.0, 2.0]), dy=np.array([5.0, 5.0, 5.0]))
    np.testing.assert_array_equal(y, [0, 0, 2])
    np.testing.assert_array_equal(dx, [0, 0, 5])


def test_sigmoid_and_tanh_by_hand():
    y, (dx,) = gradients(Sigmoid(), np.array([0.0, np.log(3)]), dy=np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [0.5, 0.75])
    np.testing.assert_allclose(dx, [0.25, 0.375])
    y, (dx,) = gradients(Tanh(), np.array([0.0, np.arctanh(0.5)]), dy=np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [0, 0.5])
    np.testing.assert_allclose(dx, [1, 1.5])


def test_softmax_layer_by_hand():
    y, (dx,) = gradients(Softmax(), np.log([[1.0, 3.0]]), dy=np.array([[4.0, 0.0]]))
    np.testing.assert_allclose(y, [[0.25, 0.75]])
    np.testing.assert_allclose(dx, [[0.75, -0.75]])


def test_the_multiply_node_swaps_its_inputs():
    y, dx = gradients(Mul(), np.float64(100), np.float64(2), dy=np.float64(1.1))
    assert y == 200
    np.testing.assert_allclose(dx, [2.2, 110])


def test_a_scalar_gets_the_sum_of_the_gradient():
    a, b, dy = np.array([1.0, 2.0]), np.array(3.0), np.array([10.0, 1.0])
    assert gradients(Mul(), a, b, dy=dy)[1][1] == 12
    assert gradients(Add(), b, a, dy=dy)[1][0] == 11


@pytest.mark.parametrize("t", [np.array([[0, 1, 0]]), np.array([[0.0, 1.0, 0.0]]), np.array([1])])
def test_softmax_with_loss_gives_the_printed_gradient(t):
    loss, (dx, dt) = gradients(SoftmaxWithLoss(), np.array([[0.3, 2.9, 4.0]]), t, dy=1.0)
    np.testing.assert_allclose(dx, [[0.01821127, -0.75480819, 0.73659691]], atol=5e-9)
    assert loss == pytest.approx(-np.log(0.24519181), rel=1e-7)
    assert dt is None


def test_softmax_with_loss_takes_a_vector_as_a_batch_of_one():
    _, (dx, _) = gradients(SoftmaxWithLoss(), np.array([0.3, 2.9, 4.0]), np.array(1), dy=1.0)
    np.testing.assert_allclose(dx, [0.01821127, -0.75480819, 0.73659691], atol=5e-9)


def test_a_target_that_does_not_sum_to_one_weighs_the_softmax():
    t = np.array([[0.5, 1.0, 0.2]])
    scores = np.array([[0.3, 2.9, 4.0]])
    _, (dx, _) = gradients(SoftmaxWithLoss(), scores, t, dy=1.0)
    y = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(dx, y * t.sum() - t)


def test_a_wrong_and_certain_answer_has_a_finite_loss_and_gradient():
    loss, (dx, _) = gradients(SoftmaxWithLoss(), np.array([[1000.0, 0.0]]), np.array([1]), dy=1.0)
    assert loss == 1000
    np.testing.assert_array_equal(dx, [[1, -1]])


def test_softmax_with_loss_is_a_mean_over_the_batch(rng):
    scores, t = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
    loss, (dx, _) = gradients(SoftmaxWithLoss(), scores, t, dy=1.0)
    twice, (dx_twice, _) = gradients(SoftmaxWithLoss(), np.tile(scores, (2, 1)), np.tile(t, 2), dy=1.0)
    assert twice == pytest.approx(loss)
    np.testing.assert_allclose(dx_twice[:4], dx / 2)


def test_identity_with_loss_by_hand():
    loss, (dx, _) = gradients(IdentityWithLoss(), np.array([[1.0, 2.0], [0.0, 0.0]]), np.zeros((2, 2)), dy=1.0)
    assert loss == 1.25
    np.testing.assert_array_equal(dx, [[0.5, 1], [0, 0]])


# Initial weights


def test_initializers_give_the_textbook_standard_deviations():
    assert he(200, 7) == 0.1
    assert xavier(120, 80) == 0.1
    assert std(0.01)(784, 50) == 0.01
    assert [named(name)(200, 0) for name in ("he", "Xavier", "0.5")] == [0.1, 0.1, 0.5]


@pytest.mark.parametrize("name", ["hee", "-1", "nan", "inf", ""])
def test_an_unknown_initializer_is_refused(name):
    with pytest.raises(ValueError, match=r"expects he, xavier or a standard deviation such as 0\.01, got"):
        named(name)


@pytest.mark.parametrize("init", [he, xavier, std(0.01)])
def test_affine_draws_its_weights_with_the_initializers_deviation(init, rng):
    layer = Affine(400, 300, rng=rng, init=init)
    assert layer.W.dtype == np.float32
    assert np.std(layer.W) == pytest.approx(init(400, 300), rel=0.02)
    assert not layer.b.any()


def test_the_same_seed_draws_the_same_weights():
    first, second = (Affine(3, 4, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.W, second.W)


# Errors


@pytest.mark.parametrize("size", [(0, 3), (3, -1), (2.5, 3)])
def test_affine_refuses_sizes_that_are_none(size, rng):
    with pytest.raises(ValueError, match="Affine expects two whole numbers from 1 up, got"):
        Affine(*size, rng=rng)


def test_affine_names_the_shape_it_wants_and_the_one_it_got(rng):
    layer = Affine(784, 50, rng=rng)
    with pytest.raises(ValueError, match=r"Affine\(784 -> 50\) expects x of shape \(N, 784\), got \(100, 783\)"):
        layer.forward(np.zeros((100, 783)))
    with pytest.raises(ValueError, match=r"got \(100, 28, 28\); flatten the images first"):
        layer.forward(np.zeros((100, 28, 28)))


@pytest.mark.parametrize("layer", [Add(), Mul()])
def test_arithmetic_never_broadcasts_a_vector_against_a_column(layer):
    with pytest.raises(ValueError, match=r"expects two arrays of one shape, or a scalar, got \(3,\) and \(3, 1\)"):
        layer.forward(np.zeros(3), np.zeros((3, 1)))


@pytest.mark.parametrize("layer", [Add(), ReLU(), SoftmaxWithLoss()])
def test_calling_a_layer_on_arrays_points_to_forward(layer):
    with pytest.raises(TypeError, match=r"connects Variables, got ndarray; arrays go through .*forward"):
        layer(np.zeros(3))


# Promises that all layers keep


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_out_is_filled_and_holds_what_a_new_array_would(example):
    layer, inputs = example
    y = layer.forward(*inputs)
    out = np.full_like(y, np.nan)
    assert layer.forward(*inputs, out=out) is out
    np.testing.assert_array_equal(out, y)

    _, dxs = gradients(layer, *inputs, dy=np.ones_like(y))
    outs = tuple(None if dx is None else np.full_like(dx, np.nan) for dx in dxs)
    filled = layer.backward(np.ones_like(y), *inputs, y=y, out=outs if len(inputs) > 1 else outs[0])
    for dx, out, result in zip(dxs, outs, filled if len(inputs) > 1 else (filled,), strict=True):
        assert result is out
        if dx is not None:
            np.testing.assert_array_equal(out, dx)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_arguments_are_never_written(example):
    layer, inputs = example
    dy = np.ones_like(layer.forward(*inputs))
    before = [x.copy() for x in inputs]
    _, dxs = gradients(layer, *inputs, dy=dy)
    for x, old in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, old)
    assert np.all(dy == 1)
    assert not any(dx is x for dx in dxs for x in (*inputs, dy) if dx is not None)


@pytest.mark.parametrize("example", layer_examples(np.float32), ids=str)
def test_float32_stays_float32(example):
    layer, inputs = example
    y = layer.forward(*inputs)
    dy = np.ones_like(y)
    y, dxs = gradients(layer, *inputs, dy=dy)
    for array in (y, *dxs, *layer.grads.values()):
        assert array is None or array.dtype == np.float32


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_backward_is_linear_in_dy(example, rng):
    layer, inputs = example
    y = layer.forward(*inputs)
    dy = rng.standard_normal(y.shape)
    _, once = gradients(layer, *inputs, dy=dy)
    grads = {name: grad.copy() for name, grad in layer.grads.items()}
    _, thrice = gradients(layer, *inputs, dy=3 * dy)
    for a, b in zip(once, thrice, strict=True):
        if a is not None:
            np.testing.assert_allclose(3 * a, b, rtol=1e-12)
    for name, grad in layer.grads.items():
        np.testing.assert_allclose(3 * grads[name], grad, rtol=1e-12)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_backward_depends_on_its_arguments_only_unless_the_layer_says_so(example):
    layer, inputs = example
    y, dxs = gradients(layer, *inputs, dy=np.ones_like(layer.forward(*inputs)))
    others = [x if x.dtype.kind == "i" else x + np.arange(x.size).reshape(x.shape) for x in inputs]
    layer.predict(*others)
    if not layer.remembers:
        layer.forward(*others)
    again = layer.backward(np.ones_like(y), *inputs, y=y)
    for first, second in zip(dxs, again if isinstance(again, tuple) else (again,), strict=True):
        if first is not None:
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_any_array_type_with_the_dispatch_protocols_goes_through(example):
    layer, inputs = example
    y, dxs = gradients(layer, *inputs, dy=np.ones_like(layer.forward(*inputs)))
    grads = {name: grad.copy() for name, grad in layer.grads.items()}
    ducks = [DuckArray(x) for x in inputs]
    own = {name: getattr(layer, name) for name in (*layer.param_names, *("d" + name for name in layer.param_names))}
    try:
        for name, value in own.items():
            setattr(layer, name, DuckArray(value))
        dy = DuckArray(np.ones_like(y))
        duck_y, duck_dxs = gradients(layer, *ducks, dy=dy)
        assert isinstance(duck_y, DuckArray)
        np.testing.assert_array_equal(duck_y.array, y)
        for dx, duck_dx in zip(dxs, duck_dxs, strict=True):
            if dx is not None:
                np.testing.assert_array_equal(duck_dx.array, dx)
        for name, grad in grads.items():
            np.testing.assert_array_equal(getattr(layer, "d" + name).array, grad)
    finally:
        for name, value in own.items():
            setattr(layer, name, value)


def test_numpy_integers_are_sizes_too(rng):
    assert repr(Affine(np.int64(3), np.int32(2), rng=rng)) == "Affine(3 -> 2)"


def test_a_layer_without_init_of_its_base_has_no_parameters(rng):
    class Careless(ReLU):
        def __init__(self):
            pass

    assert Careless().params == {}


def test_a_copy_of_a_layer_has_parameters_of_its_own(rng):
    layer = Affine(3, 2, rng=rng)
    twin = layer.copy(np.float64)
    np.testing.assert_array_equal(twin.W, layer.W)
    twin.W[...] = 0
    assert layer.W.any()
    assert twin.dW.dtype == np.float64
    assert not twin.dW.any()
