"""The check kit: right layers pass, and each wrong one is caught by the right promise, for the right reason."""

import re
import threading

import numpy as np
import pytest
from layer_examples import layer_examples
from wrong_layers import GB, GW, WRONG, X, Y

from dlscratch.contract import LayerError, check_layer, examine_layer
from dlscratch.layers import (
    Add,
    Affine,
    Dropout,
    Identity,
    IdentityWithLoss,
    Layer,
    Mul,
    ReLU,
    Sigmoid,
    Tanh,
)


@pytest.mark.parametrize("example", [*layer_examples(), *layer_examples(np.float32)], ids=str)
def test_every_layer_keeps_its_contract(example):
    names = {item.name for item in check_layer(example.layer, *example.inputs) if item.kept}
    assert {"declared", "forward", "backward", "linear in dy", "called twice", "float32", "predict"} <= names
    assert any(name.startswith("gradient of") for name in names)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_every_wrong_layer_is_caught_by_the_right_promise_for_the_right_reason(wrong):
    broken = {item.name: item for item in examine_layer(wrong.layer, *wrong.inputs) if item.kept is False}
    assert broken.keys() == wrong.reasons.keys()
    for name, reason in wrong.reasons.items():
        assert re.search(reason, f"{broken[name].detail} {broken[name].advice}"), broken[name]


def test_there_is_a_wrong_layer_for_every_promise():
    asked = {item.name for item in examine_layer(Affine(4, 4, rng=np.random.default_rng(0)), X)}
    assert asked == {name for wrong in WRONG for name in wrong.reasons} - {"gradient of a", "gradient of scores"}
    assert len(WRONG) >= 40


def test_all_that_is_broken_is_told_at_once():
    (wrong,) = (wrong for wrong in WRONG if str(wrong) == "BooksMask")
    with pytest.raises(LayerError, match=r"(?s)BooksMask breaks its contract\ncalled twice: .*\n    -> .*\npredict: "):
        check_layer(wrong.layer, X)


def test_a_property_prints_as_lines_of_a_terminal(rng):
    lines = "\n".join(map(str, check_layer(Affine(4, 2, rng=rng), X))).splitlines()
    assert lines[0] == "ok     declared            W (4, 2), b (2,)"
    assert lines[5].startswith("ok     gradient of x       relative error ")
    assert lines[5].endswith(" over 20 numbers")
    fault = str(examine_layer(WRONG[0].layer, X)[3])
    assert fault.startswith("FAULT  gradient of x       x[4, 0]: ")
    assert "-> the sign is wrong everywhere" in fault
    assert max(map(len, fault.splitlines())) <= 100


def test_what_is_not_asked_of_a_layer_is_marked_so():
    found = {item.name: item for item in check_layer(IdentityWithLoss(), X, Y)}
    assert {name for name, item in found.items() if item.kept is None} == {"rows apart", "saved and loaded"}
    assert str(found["saved and loaded"]) == "-      saved and loaded    it has neither parameters nor buffers"
    assert "gradient of t" not in found  # backward returned None for it


def test_the_layer_that_is_examined_stays_as_it_was(rng):
    layer, drops, x = Affine(4, 2, rng=rng), Dropout(0.5, rng=rng), X.copy()
    W, dW, state = layer.W.copy(), layer.dW.copy(), rng.bit_generator.state
    check_layer(layer, x)
    check_layer(drops, x)
    np.testing.assert_array_equal(layer.W, W)
    np.testing.assert_array_equal(layer.dW, dW)
    np.testing.assert_array_equal(x, X)
    assert layer.W.dtype == np.float32
    assert vars(drops).keys() == vars(Dropout(0.5, rng=rng)).keys()
    assert rng.bit_generator.state == state


def test_kinks_are_left_out_and_counted():
    found = {item.name: item.detail for item in check_layer(ReLU(), np.array([[0.0, 1.0, -1.0, 1e-7, -1e-7, 2.0]]))}
    assert found["gradient of x"].endswith("over 3 numbers, 3 left out at kinks")


def test_a_check_at_nothing_but_kinks_says_so():
    with pytest.raises(LayerError, match="gradient of x: x: all 4 numbers lie at kinks; check at other inputs"):
        check_layer(ReLU(), np.zeros((2, 2)))


def test_a_wrong_value_at_a_kink_is_wrong_too():
    class Wild(ReLU):
        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, np.where(x == 0, 7.0, y > 0), out=out)

    with pytest.raises(LayerError, match="1 of 3 numbers are wrong"):
        check_layer(Wild(), np.array([[0.0, 1.0, -1.0]]))


def test_the_verdict_names_parameter_and_index(rng):
    class OneWrong(Affine):
        def backward_params(self, dy, x, y):
            super().backward_params(dy, x, y)
            self.dW[2, 1] += 1

    with pytest.raises(LayerError, match=r"gradient of W: W\[2, 1\]: backward .* 1 of 16 numbers are wrong"):
        check_layer(OneWrong(4, 4, rng=rng), X)


def test_small_gradients_are_compared_with_a_small_scale():
    class SlightlyWrong(Tanh):
        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, 1 - y * y + 1e-4, out=out)

    with pytest.raises(LayerError, match="gradient of x"):
        check_layer(SlightlyWrong(), np.full((2, 2), 3.0))


def test_a_parameter_may_be_a_single_number():
    class Scale(Layer):
        def __init__(self):
            super().__init__(s=np.array(2.0, np.float32))

        def forward(self, x, out=None):
            return np.multiply(x, self.s, out=out)

        def backward_params(self, dy, x, y):
            self.ds = np.sum(dy * x)

        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, self.s, out=out)

    assert all(item.kept for item in check_layer(Scale(), X))


def test_a_layer_may_look_at_the_whole_batch_if_it_says_so():
    class Centred(Layer):
        mixes_batch = True

        def forward(self, x, out=None):
            return np.subtract(x, x.mean(axis=0), out=out)

        def backward(self, dy, x, y, out=None):
            return np.subtract(dy, dy.mean(axis=0), out=out)

    assert {item.name: item.kept for item in check_layer(Centred(), X)}["rows apart"] is None


def test_views_and_pass_throughs_are_right():
    class PassesOn(Identity):
        def forward(self, x, out=None):
            return x

        def backward(self, dy, x, y, out=None):
            return dy

    assert {item.name: item.kept for item in check_layer(PassesOn(), X)}["out"] is None


@pytest.mark.parametrize("inputs", [(np.arange(6).reshape(2, 3),), (np.zeros((0, 3)),), ()])
def test_a_check_at_no_numbers_is_no_pass(inputs):
    with pytest.raises(ValueError, match="expects inputs of floats, some numbers at least"):
        check_layer(Tanh(), *inputs)


def test_a_check_that_would_take_long_proposes_a_small_one(rng):
    with pytest.raises(ValueError, match=r"each of 39,750 numbers takes two forward passes.*--shape 5,4"):
        check_layer(Affine(784, 50, rng=rng), np.zeros((1, 500)))


@pytest.mark.parametrize(("layer", "count", "names"), [(Add(), 1, "a, b"), (Tanh(), 2, "x")])
def test_as_many_inputs_are_expected_as_forward_takes(layer, count, names):
    with pytest.raises(
        ValueError, match=f"an input for each of {names}, and got {count}; .* --shape once for each input"
    ):
        check_layer(layer, *[X] * count)


@pytest.mark.parametrize(
    ("layer", "inputs", "differentiated"),
    [
        (Add(), (X, np.arange(20).reshape(5, 4)), {"gradient of a"}),
        (Mul(), (X, np.array(3)), {"gradient of a"}),
        (Mul(), (np.array(3), X), {"gradient of b"}),
        (Affine(4, 2, rng=np.random.default_rng(0)), (np.arange(20, dtype=np.uint8).reshape(5, 4),), {GW, GB}),
        (Affine(4, 2, rng=np.random.default_rng(0)), (np.arange(20).reshape(5, 4) % 2 == 0,), {GW, GB}),
    ],
    ids=["array after floats", "number after floats", "number before floats", "bytes", "truth values"],
)
def test_integers_are_inputs_but_not_differentiated(layer, inputs, differentiated):
    found = check_layer(layer, *inputs)
    assert {item.name for item in found if item.name.startswith("gradient of ")} == differentiated


def test_a_gradient_of_integers_is_one_even_where_floats_have_none():
    class Weighted(Mul):
        def backward(self, dy, a, b, y, out=(None, None)):
            return np.multiply(dy, b, out=out[0]), None

    assert check_layer(Weighted(), np.arange(20).reshape(5, 4), X)


def test_a_gradient_of_nothing_but_integers_is_never_asked_for():
    class Scale(Layer):
        def __init__(self):
            super().__init__(s=np.ones(4))

        def forward(self, x, out=None):
            return np.multiply(x, self.s, out=out)

        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, self.s, out=np.empty_like(x) if out is None else out)

        def backward_params(self, dy, x, y):
            np.sum(dy * x, axis=0, out=self.ds)

    assert check_layer(Scale(), X)
    assert check_layer(Scale(), np.arange(20, dtype=np.uint8).reshape(5, 4))


def test_large_numbers_are_compared_as_well_as_they_can_be(rng):
    assert check_layer(Affine(4, 2, rng=rng), 1e8 * X)


def test_an_empty_parameter_cannot_be_checked(rng):
    class Empty(Identity):
        def __init__(self):
            Layer.__init__(self, w=np.zeros(0))

        def backward_params(self, dy, x, y):
            pass

    with pytest.raises(
        LayerError, match=r"w: there are no numbers to compare\n    -> .* w is empty: take a larger one"
    ):
        check_layer(Empty(), X)


def test_modules_and_locks_of_a_layer_are_no_hindrance():
    class Portable(Tanh):
        def __init__(self):
            super().__init__()
            self.xp, self.lock = np, threading.Lock()

    assert check_layer(Portable(), X)


def test_what_a_layer_remembers_is_no_parameter():
    class KeepsItsGradient(Tanh):
        remembers = ("slope", "dslope")

        def __init__(self):
            super().__init__()
            self.slope, self.dslope = np.zeros(3), np.zeros(3)

        def forward(self, x, out=None):
            y = np.tanh(x, out=out)
            self.slope = 1 - y * y
            return y

        def backward(self, dy, x, y, out=None):
            self.dslope = dy
            return np.multiply(dy, self.slope, out=out)

    assert check_layer(KeepsItsGradient(), X)


def test_the_first_of_several_causes_is_named():
    class Breaks(Tanh):
        def backward(self, dy, x, y, out=None):
            dx = super().backward(dy, x, y)
            dy *= 2
            return dx

    details = {item.name: item.detail for item in examine_layer(Breaks(), X)}
    assert details["memory order"] == "see out"
    assert details["in a branch"] == details["used twice"] == "see arguments only read"


def test_a_class_is_no_layer():
    with pytest.raises(ValueError, match=r"expects a layer, got .*; make one: Sigmoid\(...\)"):
        check_layer(Sigmoid, X)
