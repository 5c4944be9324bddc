"""Wrong layers: each is a right one with a single fault, and which promises of the contract that breaks, and why.

`WRONG` is the table. The reasons are regular expressions, found in what the check kit says of the promise.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from dlscratch.layers import (
    Add,
    Affine,
    BatchNormalization,
    Dropout,
    Identity,
    IdentityWithLoss,
    Layer,
    Mul,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxWithLoss,
    Tanh,
)

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 4))
LABELS = np.array([2, 0, 3, 3, 1])


class Wrong(NamedTuple):
    layer: Layer
    reasons: dict[str, str]  # of every broken promise
    inputs: tuple[Any, ...] = (X,)

    def __str__(self) -> str:
        return type(self.layer).__name__


def seeded(kind: type[Layer], *sizes: int) -> Layer:
    return kind(*sizes, rng=np.random.default_rng(0))


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


class OneFactorTooMany(Sigmoid):
    def backward(self, dy, x, y, out=None):
        return np.multiply(super().backward(dy, x, y), y, out=out)


class MaskAlone(ReLU):
    """A gradient of booleans"""

    def backward(self, dy, x, y, out=None):
        return x > 0


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


class TupleOfOne(Tanh):
    def backward(self, dy, x, y, out=None):
        return (super().backward(dy, x, y, out=out),)


class ListOfRows(Tanh):
    def forward(self, x, out=None):
        return [np.tanh(row) for row in x]


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
        return np.multiply(scores - np.eye(4, dtype=scores.dtype)[t], dy / len(scores), out=out[0]), None


class AssumesDyIsOne(SoftmaxWithLoss):
    def backward(self, dy, scores, t, y, out=(None, None)):
        return super().backward(np.ones_like(dy), scores, t, y, out=out)


class ForgetsTheHalf(IdentityWithLoss):
    def forward(self, x, t, out=None):
        return np.multiply(super().forward(x, t), 2, out=out)


class Halved(Layer):
    """The slope of x² is not x."""

    def forward(self, x, out=None):
        return np.square(x, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, x, out=out)


class YForX(Layer):
    """y = sin(x), whose slope is cos(x), not cos(y)."""

    def forward(self, x, out=None):
        return np.sin(x, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, np.cos(y), out=out)


class ClipsOneSide(Layer):
    """y = min(x, 0.5), with a slope that never ends."""

    def forward(self, x, out=None):
        return np.minimum(x, 0.5, out=out)

    def backward(self, dy, x, y, out=None):
        return np.positive(dy, out=out)


class ClipsBothSides(Layer):
    """y = x between -0.5 and 0.5, with a slope that never ends."""

    def forward(self, x, out=None):
        return np.clip(x, -0.5, 0.5, out=out)

    def backward(self, dy, x, y, out=None):
        return np.positive(dy, out=out)


class OnlyTheFirstTerm(Layer):
    """y = x sin(x), of whose slope sin(x) + x cos(x) one term is forgotten."""

    def forward(self, x, out=None):
        return np.multiply(x, np.sin(x), out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, np.sin(x), out=out)


class DyTwice(Tanh):
    def backward(self, dy, x, y, out=None):
        return np.multiply(super().backward(dy, x, y), dy, out=out)


class TermWithoutDy(Tanh):
    def backward(self, dy, x, y, out=None):
        return np.subtract(dy, y * y, out=out)


class ClipsDy(Identity):
    def backward(self, dy, x, y, out=None):
        return np.clip(dy, -2, 2, out=out)


class Swapped(Layer):
    """y = a - 2 b"""

    def forward(self, a, b, out=None):
        return np.subtract(a, 2 * b, out=out)

    def backward(self, dy, a, b, y, out=(None, None)):
        return np.multiply(dy, -2, out=out[0]), np.positive(dy, out=out[1])


class TransposedGradient(Affine):
    def backward_params(self, dy, x, y):
        np.matmul(dy.T, x, out=self.dW)
        np.sum(dy, axis=0, out=self.db)


class KeepsTheWholeBias(Affine):
    def backward_params(self, dy, x, y):
        np.matmul(x.T, dy, out=self.dW)
        self.db = dy


class FirstRowOnly(Affine):
    def backward_params(self, dy, x, y):
        np.matmul(x[:1].T, dy[:1], out=self.dW)
        np.sum(dy, axis=0, out=self.db)


class LastColumnForgotten(Tanh):
    def backward(self, dy, x, y, out=None):
        dx = super().backward(dy, x, y, out=out)
        dx[:, -1] = 0
        return dx


class TakesInTheNeighbour(Layer):
    def forward(self, x, out=None):
        return np.tanh(x, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy + np.roll(dy, 1, axis=0), 1 - y * y, out=out)


class AveragedAway(Tanh):
    def backward(self, dy, x, y, out=None):
        return np.mean(dy, axis=0)


class ReturnsNothing(Layer):
    def forward(self, x, out=None):
        np.tanh(x, out=out)


class ReturnsIntegers(ReLU):
    def forward(self, x, out=None):
        return np.where(x > 0, 1, 0)


class RootOfNegatives(Layer):
    def forward(self, x, out=None):
        return np.sqrt(x, out=out)


class Raises(ReLU):
    def forward(self, x, out=None):
        return np.maximum(x, self.threshold, out=out)


class NoForward(Layer):
    pass


class NoBackward(Layer):
    def forward(self, x, out=None):
        return np.tanh(x, out=out)


class DescendsByItself(Affine):
    def backward_params(self, dy, x, y):
        super().backward_params(dy, x, y)
        self.W -= 0.1 * self.dW


class DecaysGoingBack(Affine):
    def backward(self, dy, x, y, out=None):
        dx = super().backward(dy, x, y, out=out)
        self.W *= 0.9
        return dx


class AveragesGoingBack(BatchNormalization):
    def backward(self, dy, x, y, out=None):
        self.running_mean *= 0.9
        return super().backward(dy, x, y, out=out)


class HalvesDyForOthers(Affine):
    def backward_params(self, dy, x, y):
        super().backward_params(dy, x, y)
        dy *= 0.5


class NoBackwardParams(Layer):
    def __init__(self):
        super().__init__(s=np.ones(4))

    def forward(self, x, out=None):
        return np.multiply(x, self.s, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, self.s, out=out)


class TakesDyOnly(ReLU):
    def backward(self, dy, out=None):
        return np.positive(dy, out=out)


class ParametersOfItsOwn(NoBackwardParams):
    def __init__(self):
        Layer.__init__(self)
        self.s, self.ds = np.ones(4), np.zeros(4)


class GradientOfNothing(NoBackwardParams):
    def __init__(self):
        Layer.__init__(self)
        self.s = np.ones(4)

    def backward_params(self, dy, x, y):
        self.ds = np.sum(dy * x, axis=0)


class InTheBooksStyle(Layer):
    """The book's Affine: parameters and gradients are attributes, and backward makes all gradients."""

    def __init__(self):
        self.W = np.eye(4)

    def forward(self, x, out=None):
        return np.matmul(x, self.W, out=out)

    def backward(self, dy, x, y, out=None):
        self.dW = x.T @ dy
        return np.matmul(dy, self.W.T, out=out)


class FactorOfItsOwn(InTheBooksStyle):
    def __init__(self):
        self.a = 2.0

    def forward(self, x, out=None):
        return np.multiply(x, self.a, out=out)

    def backward(self, dy, x, y, out=None):
        self.da = np.sum(dy * x)
        return np.multiply(dy, self.a, out=out)


class MadeOfLayers(Identity):
    def __init__(self):
        super().__init__()
        self.affine = seeded(Affine, 4, 4)


class MadeOfAListOfLayers(Identity):
    def __init__(self):
        super().__init__()
        self.layers = [Tanh(), seeded(Affine, 4, 4)]


class NamesNothing(Identity):
    def __init__(self):
        self.param_names = ("w",)


class NamesNoTuple(Identity):
    def __init__(self):
        self.param_names = "w"


class CopyTakesNoDtype(Identity):
    def copy(self):
        return type(self)()


class ParameterIsANumber(NoBackwardParams):
    def __init__(self):
        super().__init__()
        self.s = 2.0


class RemembersYes(ReLU):
    remembers = True


class LongName(ReLU):
    def __repr__(self):
        return "LongName(\n)"


class BooksMask(Layer):
    """The book's ReLU: it keeps the mask, and says so nowhere."""

    def forward(self, x, out=None):
        self.mask = x > 0
        return np.multiply(x, self.mask, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, self.mask, out=out)


class KeepsItsOutputElsewhere(Tanh):
    """In its class, where another layer of the kind finds it"""

    elsewhere: ClassVar = {}

    def forward(self, x, out=None):
        self.elsewhere["y"] = np.tanh(x, out=out)
        return self.elsewhere["y"]

    def backward(self, dy, x, y, out=None):
        return super().backward(dy, x, self.elsewhere["y"], out=out)


class GoesByTheArray(Tanh):
    """It computes nothing anew for an array that it knows, although an array holds one batch after another."""

    remembers = ("known", "found")
    known = found = None

    def forward(self, x, out=None):
        if x is not self.known:
            self.known, self.found = x, np.tanh(x)
        return np.positive(self.found, out=out)


class RemembersHalf(SoftmaxWithLoss):
    remembers = ("t",)


class ChangesWhatItRemembers(Tanh):
    remembers = ("slope",)

    def forward(self, x, out=None):
        y = np.tanh(x, out=out)
        self.slope = 1 - y * y
        return y

    def backward(self, dy, x, y, out=None):
        self.slope *= dy
        return np.positive(self.slope, out=out)


class KeepsTheFirstBatch(Layer):
    """y = x / N, with the N of the first batch that it saw."""

    n = None

    def forward(self, x, out=None):
        self.n = self.n or len(x)
        return np.divide(x, self.n, out=out)

    def backward(self, dy, x, y, out=None):
        return np.divide(dy, self.n, out=out)


class SizedByTheFirstBatch(Tanh):
    memory = None

    def forward(self, x, out=None):
        if self.memory is None:
            self.memory = np.empty_like(x)
        np.copyto(self.memory, x)
        return np.tanh(self.memory, out=out)


class KeepsItsOutput(Tanh):
    memory = None

    def forward(self, x, out=None):
        if out is None:
            out = self.memory = np.empty_like(x) if self.memory is None else self.memory
        return np.tanh(x, out=out)


class Counts(Identity):
    calls = 0

    def forward(self, x, out=None):
        self.calls += 1
        return np.multiply(x, self.calls, out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, self.calls, out=out)


class NoiseFromNowhere(Identity):
    def __init__(self):
        super().__init__()
        self.noise = np.random.default_rng(0)

    def forward(self, x, out=None):
        return np.add(x, self.noise.standard_normal(x.shape), out=out)


class WritesAParameter(Affine):
    def forward(self, x, out=None):
        self.W /= np.abs(self.W).max()
        return super().forward(x, out=out)


class ForgetsOut(Tanh):
    def forward(self, x, out=None):
        return np.tanh(x)


class BackwardForgetsOut(Tanh):
    def backward(self, dy, x, y, out=None):
        return super().backward(dy, x, y)


class FillsOutButReturnsAnother(Tanh):
    def forward(self, x, out=None):
        return np.tanh(x, out=out).copy()


class RoughOut(Tanh):
    """In single precision, where `out` is given"""

    def forward(self, x, out=None):
        return np.tanh(x if out is None else x.astype(np.float32), out=out)


class FlatOut(Identity):
    """`out` is written through a reshape that is a copy where memory lies in another order."""

    def forward(self, x, out=None):
        if out is None:
            return x.copy(order="K")
        out.reshape(-1)[...] = x.reshape(-1)
        return out


class FlatMemory(Layer):
    """y = 2 x, written through a reshape that is a copy where memory lies in another order."""

    def forward(self, x, out=None):
        y = np.empty_like(x) if out is None else out
        y.reshape(-1)[...] = 2 * x.reshape(-1)
        return y

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 2, out=out)


class FlatMemoryGoingBack(Layer):
    def forward(self, x, out=None):
        return np.multiply(x, 2, out=out)

    def backward(self, dy, x, y, out=None):
        dx = np.empty_like(x) if out is None else out
        dx.ravel()[...] = 2 * dy.ravel()
        return dx


class DoublePrecision(Identity):
    def forward(self, x, out=None):
        return np.multiply(x, np.float64(2), out=out)

    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, 2, out=out)


class DoublePrecisionGoingBack(Identity):
    def backward(self, dy, x, y, out=None):
        return np.multiply(dy, np.ones(x.shape), out=out)


class DoublePrecisionAtTestTime(Identity):
    def predict(self, x):
        return x * np.ones(x.shape)


class SinglePrecision(Identity):
    def forward(self, x, out=None):
        return np.positive(x.astype(np.float32), out=out)


class MinusTheMean(Layer):
    """y = x - mean over the batch, and says nowhere that it mixes rows"""

    def forward(self, x, out=None):
        return np.subtract(x, x.mean(axis=0), out=out)

    def backward(self, dy, x, y, out=None):
        return np.subtract(dy, dy.mean(axis=0), out=out)


class DividesByTheBatch(Layer):
    def forward(self, x, out=None):
        return np.divide(x, len(x), out=out)

    def backward(self, dy, x, y, out=None):
        return np.divide(dy, len(x), out=out)


class DropsARow(Layer):
    def forward(self, x, out=None):
        return np.positive(x[1:], out=out)

    def backward(self, dy, x, y, out=None):
        dx = np.zeros_like(x) if out is None else out
        dx[0], dx[1:] = 0, dy
        return dx


class SumsTheBatch(Layer):
    def forward(self, x, out=None):
        return np.sum(x, axis=0, out=out)

    def backward(self, dy, x, y, out=None):
        dx = np.empty_like(x) if out is None else out
        dx[...] = dy
        return dx


class PredictCounts(Identity):
    seen = 0

    def predict(self, x):
        self.seen += len(x)
        return x


class PredictDraws(Dropout):
    def predict(self, x):
        return x * (self.rng.random(x.shape) > 0.5)


class PredictTrains(BatchNormalization):
    def predict(self, x):
        return self.forward(x)


class PredictForgetsTheMask(Dropout):
    def predict(self, x):
        return self.forward(x)


class NoTestTimeOfItsOwn(Dropout):
    predict = Layer.predict


class AveragesAtTestTimeToo(BatchNormalization):
    predict = Layer.predict


class PredictWritesIntoX(Tanh):
    def predict(self, x):
        return np.tanh(x, out=x)


class PredictRoot(Identity):
    def predict(self, x):
        return np.sqrt(x)


class PredictMixes(Identity):
    def predict(self, x):
        return x - x.mean(axis=0)


class PredictSums(Identity):
    def predict(self, x):
        return x.sum(axis=1)


class LosesItsAverage(Layer):
    """y = x, less a running mean at test time, which is lost when the net is saved"""

    def __init__(self, size):
        super().__init__()
        self.mean = np.zeros(size, np.float32)

    def forward(self, x, out=None):
        self.mean = 0.9 * self.mean + np.float32(0.1) * x.mean(axis=0)
        return np.positive(x, out=out)

    def backward(self, dy, x, y, out=None):
        return np.positive(dy, out=out)

    def predict(self, x):
        return x - self.mean.astype(x.dtype)


class LosesOneOfTwo(LosesItsAverage):
    buffer_names = ("count",)

    def __init__(self, size):
        super().__init__(size)
        self.count = np.zeros(1)


class PredictsWithTheFirstWeights(NoBackwardParams):
    """y = s x, at test time with what s was in the first forward pass"""

    table = None

    def forward(self, x, out=None):
        self.table = self.s.copy() if self.table is None else self.table
        return super().forward(x, out=out)

    def backward_params(self, dy, x, y):
        np.sum(dy * x, axis=0, out=self.ds)

    def predict(self, x):
        return x * (self.s if self.table is None else self.table.astype(x.dtype))


class UsesTheLastOutput(Tanh):
    """It goes by the last y it made, not by the one it is given."""

    def forward(self, x, out=None):
        self.y = np.tanh(x, out=out)
        return self.y

    def backward(self, dy, x, y, out=None):
        return super().backward(dy, x, self.y, out=out)


class DxIsDy(Identity):
    """Adds its share to dy, and passes that on."""

    def forward(self, x, out=None):
        return np.multiply(x, 2, out=out)

    def backward(self, dy, x, y, out=None):
        dy += dy
        return dy


class CallsForward(Tanh):
    """PyTorch's habit: a call is forward."""

    def __call__(self, x):
        return self.forward(x)


class KeepsItsGradient(Tanh):
    memory = None

    def backward(self, dy, x, y, out=None):
        if out is None:
            self.memory = out = np.empty_like(x) if self.memory is None or self.memory.shape != x.shape else self.memory
        return super().backward(dy, x, y, out=out)


GX, GW, GB = "gradient of x", "gradient of W", "gradient of b"
LINEAR, TWICE, READS, OUT, ORDER = "linear in dy", "called twice", "arguments only read", "out", "memory order"

WRONG = [
    # the slope
    Wrong(WrongSign(), {GX: r"x\[4, 0\]: backward gives -1.497.* differences of forward give 1.497.*sign is wrong"}),
    Wrong(MaskFromOutputNotStrict(), {GX: "use the input x where it uses y"}),
    Wrong(NoMask(), {GX: "wrong where x < 0, where it gives dy as it is, and right elsewhere"}),
    Wrong(ClipsOneSide(), {GX: "wrong where x > 0.72, where it gives dy as it is"}),
    Wrong(ClipsBothSides(), {GX: r"wrong where x < -0\.\d+ and where x > 0\.\d+, where it gives dy as it is"}),
    Wrong(ZeroAlways(), {GX: "does not depend on x at all"}),
    Wrong(IgnoresDy(), {GX: "the slope alone: multiply it by dy", LINEAR: "dy is not used"}),
    Wrong(DyTwice(), {GX: "dy is multiplied in twice", LINEAR: "dy stands in it squared"}),
    Wrong(TermWithoutDy(), {GX: "see `linear in dy`", LINEAR: "a term stands alone, without dy"}),
    Wrong(ClipsDy(), {LINEAR: "goes through something bent"}),
    Wrong(SquaresX(), {GX: "use the output y where it uses x"}),
    Wrong(YForX(), {GX: "use the input x where it uses y"}),
    Wrong(ForgetsOneMinusY(), {GX: "the factor 1 - y is missing"}),
    Wrong(OneFactorTooMany(), {GX: "the factor y is one too many"}),
    Wrong(
        MaskAlone(),
        {
            GX: "the slope alone: multiply it by dy",
            LINEAR: "dy is not used",
            OUT: "another array",
            "float32": "is bool",
        },
    ),
    Wrong(Halved(), {GX: "0.5 times what it should be, everywhere: a constant"}),
    Wrong(SlightlyOff(), {GX: "relative error 1.0e-05.*1.00001 times what it should be"}),
    Wrong(
        DiagonalOnly(), {GX: r"x\[0, 0\] acts on 4 numbers of y, y\[0, 1\] among them, but dx\[0, 0\] takes in nothing"}
    ),
    Wrong(SumsTheWrongAxis(), {GX: r"dx is a sum over all that x acts on"}),
    Wrong(TakesInTheNeighbour(), {GX: r"dx\[0, 0\] takes in dy\[4, 0\], but x\[0, 0\] does not act on y\[4, 0\]"}),
    Wrong(LastColumnForgotten(), {GX: "5 of 20 numbers are wrong.*only numbers with index 3 along axis 1"}),
    Wrong(OnlyTheFirstTerm(), {GX: r"at x = .*, y = .*, the slope is .*, backward has .* a term for each factor"}),
    # several inputs
    Wrong(DoesNotSwap(), {"gradient of a": "the gradient of b: the two are swapped", GB: "the gradient of a"}, (X, Y)),
    Wrong(Swapped(), {"gradient of a": "the gradient of b: the two are swapped", GB: "the gradient of a"}, (X, Y)),
    Wrong(OneGradientOnly(), {GB: "does not depend on b at all"}, (X, Y)),
    Wrong(MissingOneOverN(), {"gradient of scores": "5 times too large, and 5 is the number of rows"}, (X, LABELS)),
    Wrong(ScoresMinusTarget(), {"gradient of scores": "derive dscores again"}, (X, LABELS)),
    Wrong(AssumesDyIsOne(), {"gradient of scores": "multiply it by dy", LINEAR: "dy is not used"}, (X, LABELS)),
    Wrong(ForgetsTheHalf(), {GX: "0.5 times what it should be"}, (X, Y)),
    # parameters
    Wrong(seeded(TransposedW, 4, 4), {GX: "it is right once W is transposed"}),
    Wrong(seeded(TransposedGradient, 4, 4), {GW: r"its transpose is right: dW\[i, j\] belongs to W\[i, j\]"}),
    Wrong(seeded(UsesTheWrongFactor, 4, 4), {GW: "use the input x where it uses y"}),
    Wrong(seeded(MeanOfBias, 4, 4), {GB: "5 times too small, and 5 is the number of rows.*db is a sum and no mean"}),
    Wrong(seeded(AccumulatesWeights, 4, 4), {GW: "backward gives nan.*adds to what is in dW: fill it"}),
    Wrong(seeded(ForgetsBias, 4, 4), {GB: "backward_params never fills db"}),
    Wrong(seeded(ForwardWithoutBias, 4, 4), {GB: "forward does not use b at all"}),
    Wrong(seeded(FirstRowOnly, 4, 4), {GW: r"W\[0, 0\] acts on 5 numbers of y.*takes in nothing of dy\[1, 0\]"}),
    Wrong(
        seeded(KeepsTheWholeBias, 4, 4),
        {"backward": r"db has the shape \(5, 4\), but b has .*\(4,\).*sum over the axes"},
    ),
    Wrong(ParametersOfItsOwn(), {"declared": r"no optimizer sees it.*super\(\).__init__\(s=s\)"}),
    Wrong(GradientOfNothing(), {"declared": r"a backward_params, but no parameter; is it self.s?"}),
    Wrong(InTheBooksStyle(), {"backward": r"leaves self.dW, but W is no parameter.*super\(\).__init__\(W=W\)"}),
    Wrong(FactorOfItsOwn(), {"backward": r"leaves self.da, but a is no parameter.*super\(\).__init__\(a=a\)"}),
    Wrong(MadeOfLayers(), {"declared": "self.affine is a layer with parameters, which no optimizer sees"}),
    Wrong(MadeOfAListOfLayers(), {"declared": "self.layers is a layer with parameters"}),
    Wrong(NamesNothing(), {"declared": "w is declared, but not there"}),
    Wrong(NamesNoTuple(), {"declared": r"param_names is 'w'.*a tuple of names, such as \('W',\)"}),
    Wrong(CopyTakesNoDtype(), {"declared": "raises TypeError: .*copy"}),
    Wrong(ParameterIsANumber(), {"declared": "s is no array but float"}),
    Wrong(seeded(WritesAParameter, 4, 4), {"forward": "forward changes the parameter W"}),
    Wrong(seeded(DescendsByItself, 4, 4), {"backward": "backward_params changes self.W.*by an optimizer"}),
    Wrong(seeded(DecaysGoingBack, 4, 4), {"backward": "backward changes self.W.*by an optimizer"}),
    Wrong(AveragesGoingBack(4), {"backward": "backward changes self.running_mean.*buffers by forward"}),
    # what comes back, or does not
    Wrong(ReturnsNothing(), {"forward": "forward returned None.*return y"}),
    Wrong(ListOfRows(), {"forward": "returns a list of 5 where an array is expected"}),
    Wrong(TupleOfOne(), {"backward": r"returns a tuple of 1 where an array .*`return dx`, and not \(dx,\)"}),
    Wrong(ReturnsIntegers(), {"forward": "an array of floats, got one of int64"}),
    Wrong(RootOfNegatives(), {"forward": "14 of 20 numbers of y are not finite"}),
    Wrong(Raises(), {"forward": "raises AttributeError: .*'threshold'.*wrong_layers.py, line .*self.threshold"}),
    Wrong(NoForward(), {"forward": "forward is missing.*write `def forward"}),
    Wrong(NoBackward(), {"backward": "backward is missing"}),
    Wrong(NoBackwardParams(), {"backward": "backward_params is missing, though there are parameters: s"}),
    Wrong(
        TakesDyOnly(), {"backward": "raises TypeError.*unexpected keyword argument 'y'.*the order that Layer describes"}
    ),
    Wrong(ForgetsToReturn(), {"backward": "backward returned None, no gradient of x"}),
    Wrong(NoGradients(), {"backward": "backward returned None, no gradient of a, b"}, (X, Y)),
    Wrong(OneForTwo(), {"backward": "expects to return 2 gradients, of a, b; got 1"}, (X, Y)),
    Wrong(
        ScalarNotSummed(), {"backward": r"of b has the shape \(5, 4\), but b has the shape \(\)"}, (X, np.array(2.0))
    ),
    Wrong(
        AveragedAway(), {"backward": r"of x has the shape \(4,\), but x has the shape \(5, 4\).*averaged over too much"}
    ),
    Wrong(RemembersYes(), {"declared": "remembers is True.*a tuple of names"}),
    Wrong(LongName(), {"declared": "repr has several lines"}),
    # memory
    Wrong(ClipsItsInput(), {READS: "forward writes into x"}),
    Wrong(MasksDyInPlace(), {READS: "backward writes into dy"}),
    Wrong(WritesItsOutputAgain(), {READS: "backward writes into y"}),
    Wrong(DxIsDy(), {READS: "backward writes into dy"}),
    Wrong(seeded(HalvesDyForOthers, 4, 4), {READS: "backward_params writes into dy"}),
    Wrong(PredictWritesIntoX(), {READS: "predict writes into x"}),
    Wrong(AddsToOut(), {OUT: "backward, gradient of x: the numbers are others.*neither add to it nor read it"}),
    Wrong(ForwardTrustsOut(), {OUT: "forward: the numbers are others.*neither add to it nor read it"}),
    Wrong(ForgetsOut(), {OUT: "forward: `out` is given, but another array comes back"}),
    Wrong(BackwardForgetsOut(), {OUT: "backward, gradient of x: `out` is given, but another array comes back"}),
    Wrong(FillsOutButReturnsAnother(), {OUT: "forward: `out` is given, but another array comes back"}),
    Wrong(RoughOut(), {OUT: "forward: the numbers are others when `out` is given"}),
    Wrong(FlatOut(), {ORDER: "where the batch is innermost in memory, forward: the numbers are others"}),
    Wrong(FlatMemory(), {ORDER: "forward gives other numbers where the batch is innermost.*ravel copy"}),
    Wrong(FlatMemoryGoingBack(), {ORDER: "the gradient of x is another one where the batch is innermost"}),
    # what is kept from one call to the next
    Wrong(BooksMask(), {TWICE: r"self.mask.*say remembers = \('mask',\)", "predict": "changes self.mask"}),
    Wrong(UsesTheLastOutput(), {TWICE: r"made from self.y: compute it from x and y", "predict": "changes self.y"}),
    Wrong(KeepsItsOutputElsewhere(), {TWICE: "something that is not on self.*keep it on self, and list its name"}),
    Wrong(ChangesWhatItRemembers(), {TWICE: "a second backward gives another gradient of x.*self.slope"}),
    Wrong(
        KeepsItsOutput(),
        {TWICE: "overwrites the output of the first", "rows apart": "size of the batch", "predict": "self.m"},
    ),
    Wrong(KeepsTheFirstBatch(), {TWICE: "a smaller batch gives other numbers.*self.n"}),
    Wrong(
        SizedByTheFirstBatch(),
        {
            TWICE: "raises ValueError",
            "rows apart": "with a row less.*size of the batch",
            "predict": "else make it anew",
        },
    ),
    Wrong(KeepsItsGradient(), {"used twice": "does backward return an array that it keeps"}),
    Wrong(RemembersHalf(), {"used twice": "it lacks 'log_p'"}, (X, LABELS)),
    Wrong(CallsForward(), {"in a branch": "raises TypeError"}),
    Wrong(GoesByTheArray(), {"in a branch": "the gradient of x is not .*The same array holds other numbers"}),
    Wrong(Counts(), {"forward": "called again with the same inputs.*self.calls"}),
    Wrong(NoiseFromNowhere(), {"forward": "called again with the same inputs.*self.noise.*generator is self.rng"}),
    # dtype
    Wrong(DoublePrecision(), {"float32": "y is float64 where inputs and parameters are float32.*Python's"}),
    Wrong(DoublePrecisionGoingBack(), {"float32": "the gradient of x is float64 where"}),
    Wrong(DoublePrecisionAtTestTime(), {"float32": "y of predict is float64 where"}),
    Wrong(SinglePrecision(), {"float32": "y is float32 where inputs and parameters are float64", GX: "see `float32`"}),
    # rows
    Wrong(MinusTheMean(), {"rows apart": "row 0 of y changes when row 4 of x does.*mixes_batch = True"}),
    Wrong(DividesByTheBatch(), {"rows apart": "y changes when the last row of x is left out"}),
    Wrong(DropsARow(), {"rows apart": "forward makes 4 rows of 5"}),
    Wrong(SumsTheBatch(), {"rows apart": "forward makes 4 rows of 5.*along axis 0"}),
    # test time
    Wrong(PredictCounts(), {"predict": "predict changes self.seen"}),
    Wrong(seeded(PredictDraws), {"predict": "predict changes self.rng.*only forward draws random numbers"}),
    Wrong(PredictTrains(4), {"predict": "predict changes self.running_mean and self.running_var"}),
    Wrong(seeded(PredictForgetsTheMask), {"predict": "predict changes self.rng and self"}),
    Wrong(seeded(NoTestTimeOfItsOwn), {"predict": "changes self.rng.*a formula of its own: write predict"}),
    Wrong(AveragesAtTestTimeToo(4), {"predict": "changes self.running_mean .*a formula of its own: write predict"}),
    Wrong(PredictRoot(), {"predict": "predict: 14 of 20 numbers of y are not finite"}),
    Wrong(PredictMixes(), {"predict": "row 0 of y changes when row 4 of x does.*a single image"}),
    Wrong(PredictSums(), {"predict": r"returns the shape \(5,\), forward \(5, 4\)"}),
    Wrong(LosesOneOfTwo(4), {"saved and loaded": r"self.mean is lost.*buffer_names = \('count', 'mean'\)"}),
    Wrong(PredictsWithTheFirstWeights(), {"saved and loaded": "self.table is lost"}),
    Wrong(LosesItsAverage(4), {"saved and loaded": r"self.mean is lost.*buffer_names = \('mean',\)"}),
]
