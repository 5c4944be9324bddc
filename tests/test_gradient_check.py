"""The check itself: every right layer passes, every wrong one is caught for its own reason."""

import numpy as np
import pytest
from layer_examples import layer_examples

from dlscratch.gradient_check import GradientError, check_layer, check_network, numerical_gradient
from dlscratch.layers import Add, Affine, IdentityWithLoss, Layer, Mul, ReLU, Sigmoid, Softmax, SoftmaxWithLoss, Tanh
from dlscratch.models import Sequential, TwoLayerNet

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 4))
LABELS = np.array([2, 0, 3, 3, 1])


@pytest.mark.parametrize("example", [*layer_examples(), *layer_examples(np.float32)], ids=str)
def test_every_layer_passes_below_1e_7(example):
    for checked in check_layer(example.layer, *example.inputs):
        assert checked.error < 1e-7
        assert checked.kinks == 0
        assert checked.compared > 0


def test_the_report_names_each_parameter_and_input():
    report = [str(checked) for checked in check_layer(Affine(4, 2, rng=RNG), X)]
    assert [line.split(":")[0] for line in report] == ["Affine(4 -> 2).W", "Affine(4 -> 2).b", "Affine(4 -> 2) input 0"]
    assert "over 20 numbers" in report[2]


def test_kinks_are_left_out_and_counted():
    x = np.array([[0.0, 1.0, -1.0, 1e-7, -1e-7, 2.0]])
    (checked,) = check_layer(ReLU(), x)
    assert (checked.kinks, checked.compared) == (3, 3)
    assert "3 left out at kinks" in str(checked)


def test_a_check_at_nothing_but_kinks_says_so():
    with pytest.raises(GradientError, match="all 4 numbers lie at kinks; check at other inputs"):
        check_layer(ReLU(), np.zeros((2, 2)))


def test_the_layer_that_is_checked_stays_as_it_was():
    layer = Affine(4, 2, rng=RNG)
    W, dW, x = layer.W.copy(), layer.dW.copy(), X.copy()
    check_layer(layer, x)
    np.testing.assert_array_equal(layer.W, W)
    np.testing.assert_array_equal(layer.dW, dW)
    np.testing.assert_array_equal(x, X)
    assert layer.W.dtype == np.float32


# Wrong layers: each is a right one with a single fault in it.


class WrongSign(ReLU):
    def backward(self, dy, x, y, out=None):
        return np.negative(super().backward(dy, x, y), out=out)


class MaskFromOutputNotStrict(ReLU):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, y >= 0, out=out)  # y is never below 0


class NoMask(ReLU):
    def backward(self, dy, x, y, out=None):
        return np.positive(dy, out=out)


class ZeroAlways(ReLU):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 0, out=out)


class ClipsItsInput(ReLU):
    def forward(self, x, out=None):
        x[x < 0] = 0
        return np.positive(x, out=out)


class MasksDyInPlace(ReLU):
    def backward(self, dy, x, y, out=None):
        dy[y <= 0] = 0
        return np.positive(dy, out=out)


class WritesItsOutputAgain(ReLU):
    def backward(self, dy, x, y, out=None):
        y *= 2
        return np.multiply(dy, y > 0, out=out)


class AddsToOut(ReLU):
    def backward(self, dy, x, y, out=None):
        if out is None:
            return super().backward(dy, x, y)
        out += super().backward(dy, x, y)
        return out


class ForwardTrustsOut(ReLU):
    def forward(self, x, out=None):
        return super().forward(x) if out is None else np.maximum(x, out, out=out)


class ForgetsToReturn(ReLU):
    def backward(self, dy, x, y, out=None):
        super().backward(dy, x, y, out=out)


class IgnoresDy(Tanh):
    def backward(self, dy, x, y, out=None):
        return np.subtract(1, y * y, out=out)


class SquaresX(Tanh):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 1 - x * x, out=out)


class ForgetsOneMinusY(Sigmoid):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, y, out=out)


class SlightlyOff(Sigmoid):
    def backward(self, dy, x, y, out=None):
        return np.multiply(super().backward(dy, x, y), 1 + 1e-5, out=out)


class DiagonalOnly(Softmax):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, y * (1 - y), out=out)


class SumsTheWrongAxis(Softmax):
    def backward(self, dy, x, y, out=None):
        return np.multiply(y, dy - np.sum(dy * y, axis=0, keepdims=True), out=out)


class DoesNotSwap(Mul):
    def backward(self, dy, a, b, y, out=(None, None)):
        return np.multiply(dy, a, out=out[0]), np.multiply(dy, b, out=out[1])


class OneGradientOnly(Add):
    def backward(self, dy, a, b, y, out=(None, None)):
        return np.positive(dy, out=out[0]), np.multiply(dy, 0, out=out[1])


class NoGradients(Add):
    def backward(self, dy, a, b, y, out=(None, None)):
        return None, None


class OneForTwo(Add):
    def backward(self, dy, a, b, y, out=(None, None)):
        return (np.positive(dy),)


class ScalarNotSummed(Mul):
    def backward(self, dy, a, b, y, out=(None, None)):
        return np.multiply(dy, b), np.multiply(dy, a)


class TransposedW(Affine):
    def backward(self, dy, x, y, out=None):
        return np.matmul(dy, self.W, out=out)


class UsesTheWrongFactor(Affine):
    def backward_params(self, dy, x, y):
        np.matmul(y.T, dy, out=self.dW)
        np.sum(dy, axis=0, out=self.db)


class MeanOfBias(Affine):
    def backward_params(self, dy, x, y):
        super().backward_params(dy, x, y)
        np.mean(dy, axis=0, out=self.db)


class AccumulatesWeights(Affine):
    def backward_params(self, dy, x, y):
        self.dW += x.T @ dy
        np.sum(dy, axis=0, out=self.db)


class ForgetsBias(Affine):
    def backward_params(self, dy, x, y):
        np.matmul(x.T, dy, out=self.dW)


class ForwardWithoutBias(Affine):
    def forward(self, x, out=None):
        return np.matmul(x, self.W, out=out)


class MissingOneOverN(SoftmaxWithLoss):
    def backward(self, dy, scores, t, y, out=(None, None)):
        dx, _ = super().backward(dy, scores, t, y)
        return np.multiply(dx, len(scores), out=out[0]), None


class ScoresMinusTarget(SoftmaxWithLoss):
    def backward(self, dy, scores, t, y, out=(None, None)):
        return np.multiply(scores - np.eye(4)[t], dy / len(scores), out=out[0]), None


class AssumesDyIsOne(SoftmaxWithLoss):
    def backward(self, dy, scores, t, y, out=(None, None)):
        return super().backward(np.ones_like(dy), scores, t, y, out=out)


class ForgetsTheHalf(IdentityWithLoss):
    def forward(self, x, t, out=None):
        return np.multiply(super().forward(x, t), 2, out=out)


def affine(kind: type[Affine]) -> Layer:
    return kind(4, 4, rng=np.random.default_rng(0))


VALUE = "backward gives .* differences of forward give"
WRITES = "writes into one of its arguments"
OUT = "another one when `out` is given"

WRONG = [
    (WrongSign(), (X,), VALUE),
    (MaskFromOutputNotStrict(), (X,), VALUE),
    (NoMask(), (X,), VALUE),
    (ZeroAlways(), (X,), VALUE),
    (ClipsItsInput(), (X,), "forward " + WRITES),
    (MasksDyInPlace(), (X,), "backward " + WRITES),
    (WritesItsOutputAgain(), (X,), "backward " + WRITES),
    (AddsToOut(), (X,), "backward, input 0: .*" + OUT),
    (ForwardTrustsOut(), (X,), "forward: .*" + OUT),
    (ForgetsToReturn(), (X,), "expects to return 1 gradients"),
    (IgnoresDy(), (X,), VALUE),
    (SquaresX(), (X,), VALUE),
    (ForgetsOneMinusY(), (X,), VALUE),
    (SlightlyOff(), (X,), VALUE),
    (DiagonalOnly(), (X,), VALUE),
    (SumsTheWrongAxis(), (X,), VALUE),
    (DoesNotSwap(), (X, Y), "input 0.*" + VALUE),
    (OneGradientOnly(), (X, Y), "input 1.*" + VALUE),
    (NoGradients(), (X, Y), "expects to return 2 gradients"),
    (OneForTwo(), (X, Y), "expects to return 2 gradients"),
    (ScalarNotSummed(), (X, np.array(2.0)), r"input 1: .* shape of its array \(\), got \(5, 4\)"),
    (affine(TransposedW), (X,), "input 0.*" + VALUE),
    (affine(UsesTheWrongFactor), (X,), r"\.W\[.*" + VALUE),
    (affine(MeanOfBias), (X,), r"\.b\[.*" + VALUE),
    (affine(AccumulatesWeights), (X,), r"\.W\[.*backward gives nan"),
    (affine(ForgetsBias), (X,), r"\.b\[.*backward gives nan"),
    (affine(ForwardWithoutBias), (X,), r"\.b\[.*" + VALUE),
    (MissingOneOverN(), (X, LABELS), "input 0.*" + VALUE),
    (ScoresMinusTarget(), (X, LABELS), "input 0.*" + VALUE),
    (AssumesDyIsOne(), (X, LABELS), "input 0.*" + VALUE),
    (ForgetsTheHalf(), (X, Y), "input 0.*" + VALUE),
]


@pytest.mark.parametrize(("layer", "inputs", "reason"), WRONG, ids=lambda value: type(value).__name__)
def test_every_wrong_layer_is_caught_for_its_own_reason(layer, inputs, reason):
    with pytest.raises(GradientError, match=f"(?s){reason}"):
        check_layer(layer, *inputs)


def test_the_verdict_names_layer_parameter_and_index():
    class OneWrong(Affine):
        def backward_params(self, dy, x, y):
            super().backward_params(dy, x, y)
            self.dW[2, 1] += 1

    with pytest.raises(GradientError, match=r"Affine\(4 -> 4\)\.W\[2, 1\]: .* 1 of 16 numbers are wrong"):
        check_layer(OneWrong(4, 4, rng=RNG), X)


def test_a_wrong_value_at_a_kink_is_wrong_too():
    class Wild(ReLU):
        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, np.where(x == 0, 7.0, y > 0), out=out)

    with pytest.raises(GradientError, match="1 of 3 numbers are wrong"):
        check_layer(Wild(), np.array([[0.0, 1.0, -1.0]]))


# Networks


def test_backprop_and_numerical_gradients_of_the_books_net_agree(rng):
    net = TwoLayerNet(784, 50, 10, rng=rng)
    x, t = rng.random((3, 784), np.float32), np.array([3, 1, 4])
    report = check_network(net, x, t)
    assert [checked.name for checked in report] == ["W1", "b1", "W2", "b2"]
    assert all(checked.error < 1e-7 and checked.compared for checked in report)
    assert net.params.dtype == np.float32


def test_a_whole_small_network_is_compared_number_by_number(rng):
    net = TwoLayerNet(6, 5, 3, rng=rng)
    report = check_network(net, rng.random((4, 6)), np.eye(3)[[0, 2, 1, 1]], samples=None)
    assert sum(checked.compared + checked.kinks for checked in report) == net.params.size


def test_a_fault_deep_in_a_network_is_named_by_its_parameter(rng):
    net = Sequential(Affine(6, 5, rng=rng), WrongSign(), Affine(5, 3, rng=rng))
    with pytest.raises(GradientError, match=r"W1\[\d, \d\]: backward gives"):
        check_network(net, rng.random((4, 6)), np.array([0, 2, 1, 1]))


def test_a_numerical_gradient_costs_two_forward_passes_for_each_number():
    """79,520 of them for the 39,760 parameters of the book's net, where backpropagation costs about three."""
    calls = []
    numerical_gradient(lambda x: calls.append(1) or 0.0, np.zeros((5, 4)))
    assert len(calls) == 2 * 20


def test_numerical_gradient_restores_the_array_when_the_function_fails():
    x = np.array([1.0, 2.0])

    def fails(x):
        if x[1] > 2:
            raise ArithmeticError
        return x.sum()

    with pytest.raises(ArithmeticError):
        numerical_gradient(fails, x)
    np.testing.assert_array_equal(x, [1, 2])


def test_a_parameter_may_be_a_single_number(rng):
    class Scale(Layer):
        def __init__(self):
            super().__init__(s=np.array(2.0, np.float32))

        def forward(self, x, out=None):
            return np.multiply(x, self.s, out=out)

        def backward_params(self, dy, x, y):
            self.ds = np.sum(dy * x)

        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, self.s, out=out)

    assert [checked.compared for checked in check_layer(Scale(), X)] == [1, 20]
    net = Sequential(Affine(6, 3, rng=rng), Scale())
    assert [checked.name for checked in check_network(net, rng.random((4, 6)), LABELS[:4] % 3)] == ["W1", "b1", "s2"]


def test_small_gradients_are_compared_with_a_small_scale():
    class SlightlyWrong(Tanh):
        def backward(self, dy, x, y, out=None):
            return np.multiply(dy, 1 - y * y + 1e-4, out=out)

    with pytest.raises(GradientError):
        check_layer(SlightlyWrong(), np.full((2, 2), 3.0))


def test_other_numbers_than_the_first_are_compared(rng):
    class LastRowWrong(Affine):
        def backward_params(self, dy, x, y):
            super().backward_params(dy, x, y)
            self.dW[-1] += 1

    net = Sequential(LastRowWrong(50, 20, rng=rng))
    with pytest.raises(GradientError, match=r"W1\[49, \d+\]"):
        check_network(net, rng.random((4, 50)), np.array([0, 2, 1, 1]))


@pytest.mark.parametrize("x", [np.arange(6).reshape(2, 3), np.zeros((0, 3))])
def test_a_check_at_no_numbers_is_no_pass(x):
    with pytest.raises(ValueError, match="expects inputs of floats, some numbers at least"):
        check_layer(Tanh(), x)
