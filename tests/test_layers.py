"""What all layers keep beside their contract (test_contract.py). Each is worked by hand in a file of its family."""

import numpy as np
import pytest
from duck_array import DuckArray, DuckGenerator
from layer_examples import forward, gradients, layer_examples

from dlscratch.layers import Add, Affine, ReLU, SoftmaxWithLoss

EXAMPLES = layer_examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_out_is_filled_and_holds_what_a_new_array_would(example):
    layer, inputs = example
    y = forward(layer, *inputs)
    out = np.full_like(y, np.nan)
    assert forward(layer, *inputs, out=out) is out
    np.testing.assert_array_equal(out, y)

    _, dxs = gradients(layer, *inputs, dy=np.ones_like(y))
    outs = tuple(None if dx is None else np.full_like(dx, np.nan) for dx in dxs)
    filled = layer.backward(np.ones_like(y), *inputs, y=y, out=outs if len(inputs) > 1 else outs[0])
    for dx, out, result in zip(dxs, outs, filled if len(inputs) > 1 else (filled,), strict=True):
        assert result is out
        if dx is not None:
            np.testing.assert_array_equal(out, dx)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_any_array_type_with_the_dispatch_protocols_goes_through(example):
    layer, inputs = example
    twin = layer.copy()
    for name, value in own_arrays(twin).items():
        setattr(twin, name, DuckArray(value))
    if hasattr(twin, "rng"):
        twin.rng = DuckGenerator(twin.rng)
    y, dxs = gradients(layer, *inputs, dy=np.ones_like(forward(layer.copy(), *inputs)))
    duck_y, duck_dxs = gradients(twin, *map(DuckArray, inputs), dy=DuckArray(np.ones_like(y)))
    assert isinstance(duck_y, DuckArray)
    np.testing.assert_array_equal(duck_y.array, y)
    for dx, duck_dx in zip(dxs, duck_dxs, strict=True):
        if dx is not None:
            np.testing.assert_array_equal(duck_dx.array, dx)
    for name, value in own_arrays(layer).items():
        np.testing.assert_array_equal(getattr(twin, name).array, value)


@pytest.mark.parametrize("layer", [Add(), ReLU(), SoftmaxWithLoss()])
def test_calling_a_layer_on_arrays_points_to_forward(layer):
    with pytest.raises(TypeError, match=r"connects Variables, got ndarray; arrays go through .*forward"):
        layer(np.zeros(3))


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


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_copy_remembers_nothing_and_shares_nothing(example):
    layer, inputs = example
    forward(layer, *inputs)
    twin = layer.copy()
    assert not set(layer.remembers) & set(vars(twin))
    own = [value for value in vars(twin).values() if isinstance(value, np.ndarray)]
    assert not any(np.may_share_memory(a, b) for a in own for b in vars(layer).values() if isinstance(b, np.ndarray))


def own_arrays(layer):
    """Parameters, their gradients, and buffers, by the names of the attributes that hold them."""
    return layer.params | {"d" + name: grad for name, grad in layer.grads.items()} | layer.buffers
