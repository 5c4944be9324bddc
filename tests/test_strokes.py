import numpy as np
import pytest

from dataset import strokes
from dataset.strokes import draw_digits, load_strokes

LABELS = np.arange(400) % 10


@pytest.fixture(scope="module")
def images():
    return draw_digits(LABELS, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def splits():
    return load_strokes(train_size=6000, test_size=1000)


def softmax_regression(x, t, steps=400, lr=0.5):
    """Weights (784, 10) after `steps` steps of gradient descent from zero."""
    W = np.zeros((x.shape[1], 10), np.float32)
    for step in range(steps):
        part = slice(step * 200 % len(x), step * 200 % len(x) + 200)
        y = np.exp(x[part] @ W)
        y /= y.sum(axis=1, keepdims=True)
        y[np.arange(len(y)), t[part]] -= 1
        W -= lr * x[part].T @ y / len(y)
    return W


def accuracy(W, x, t):
    return np.mean(np.argmax(x @ W, axis=1) == t)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(images):
    again, other = (draw_digits(LABELS, rng=np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again, images)
    assert not (other == images).all(axis=(1, 2)).any()


def test_an_image_does_not_depend_on_the_size_of_a_chunk(images, monkeypatch):
    monkeypatch.setattr(strokes, "CHUNK", 7)
    np.testing.assert_array_equal(draw_digits(LABELS, rng=np.random.default_rng(0)), images)


def test_images_are_white_on_black_in_many_greys(images):
    assert images.dtype == np.uint8
    assert images.shape == (400, 28, 28)
    assert images.max() == 255
    assert len(np.unique(images)) > 200
    assert (images.reshape(400, -1).sum(axis=1) > 5 * 255).all()  # no digit is empty


def test_as_much_ink_as_in_mnist(images):
    assert images.mean() / 255 == pytest.approx(0.131, abs=0.02)
    assert np.mean(images > 0) == pytest.approx(0.191, abs=0.04)


def test_a_digit_fits_a_box_of_20_pixels_and_fills_it(images):
    for side in (images.any(axis=1), images.any(axis=2)):
        first, last = np.argmax(side, axis=1), 27 - np.argmax(side[:, ::-1], axis=1)
        assert (last - first < 20).all()
    heights = np.sum((images > 60).any(axis=2), axis=1)
    assert np.median(heights) >= 18


def test_the_centre_of_mass_is_the_centre_of_the_image(images):
    mass, pixels = images.sum(axis=(1, 2), dtype=float), np.arange(28)
    for axis in (1, 2):
        centre = images.sum(axis=axis, dtype=float) @ pixels / mass
        assert np.abs(centre - 14).max() < 0.55  # half a pixel, and the rounding of greys


def test_the_border_is_mostly_empty_as_in_mnist(images):
    border = np.ones((28, 28), bool)
    border[2:-2, 2:-2] = False
    assert np.mean(images[:, border] > 0) < 0.01


def test_a_digit_is_written_in_many_ways(images):
    for digit in range(10):
        flat = images[digit == LABELS].reshape(40, -1) > 127
        different = np.mean(flat[:, np.newaxis] != flat, axis=2)
        assert different[~np.eye(40, dtype=bool)].min() > 0.005
        assert different.mean() > 0.05


@pytest.mark.parametrize("digit", range(10))
def test_every_hand_can_be_drawn(digit):
    for hand in strokes.HANDS[digit].split(";"):
        names = set(hand.replace(",", " ").split())
        assert all(len(name) == 2 and name.isdigit() for name in names), hand
        assert len(names) <= strokes.POINTS, hand
        assert all(len(stroke.split()) > 1 for stroke in hand.split(",")), hand


def test_a_stroke_that_begins_where_the_last_one_ended_makes_a_corner_and_no_gap():
    hand = strokes._hand("00 80, 80 49")
    ends = np.flatnonzero(hand.pen == 0)
    assert len(ends) == 1
    np.testing.assert_allclose(hand.mean[:, ends], hand.mean[:, ends + 1], atol=1e-6)
    np.testing.assert_allclose(hand.sway[:, ends], hand.sway[:, ends + 1], atol=1e-6)


def test_a_straight_stroke_is_as_wide_as_its_pen():
    y = np.linspace(0, 19, strokes.STEPS + 1, dtype=np.float32)
    path = np.stack([np.full_like(y, 9.5), y])[np.newaxis]
    radius = np.full((1, 1, 1), 1.7, np.float32)
    ink = strokes._ink(path, np.ones((1, strokes.STEPS), np.float32), radius)
    assert ink[0, 10].sum() == pytest.approx(2 * 1.7, abs=0.2)


def test_no_labels_make_no_images():
    assert draw_digits([], rng=np.random.default_rng(0)).shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([3, 10], r"0\.\.9, got 3\.\.10"),
        ([-1], r"0\.\.9, got -1"),
        ([1.5], "got float64"),
        (7, r"\(N,\), got int"),
        ([[1]], r"\(1, 1\)"),
    ],
)
def test_what_is_not_a_row_of_digits_is_refused(labels, what):
    with pytest.raises(ValueError, match=what):
        draw_digits(labels, rng=np.random.default_rng(0))


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="negative, got 10 and -1"):
        load_strokes(train_size=10, test_size=-1)


def test_strokes_come_in_the_form_of_mnist(splits):
    (x_train, t_train), (x_test, t_test) = splits
    assert (x_train.shape, t_train.shape) == ((6000, 784), (6000,))
    assert (x_test.shape, t_test.shape) == ((1000, 784), (1000,))
    assert (x_train.dtype, t_train.dtype, x_test.dtype, t_test.dtype) == (np.float32, np.int64) * 2
    assert (x_train.min(), x_train.max()) == (0, 1)


def test_strokes_can_be_bytes_in_planes_with_one_hot_rows():
    (x, t), (x_test, _) = load_strokes(False, False, True, train_size=25, test_size=5)
    assert (x.dtype, x.shape, x_test.shape) == (np.uint8, (25, 1, 28, 28), (5, 1, 28, 28))
    assert (t.dtype, t.shape) == (np.float32, (25, 10))
    assert (t.sum(axis=1) == 1).all()


def test_classes_are_balanced_and_shuffled():
    (_, t), (_, t_test) = load_strokes(train_size=125, test_size=20)
    assert set(np.bincount(t)) == {12, 13}
    assert set(np.bincount(t_test)) == {2}
    assert (t[:120] != np.arange(120) % 10).any()


def test_a_seed_fixes_the_set_and_its_two_parts_differ():
    def load(seed):
        (x, t), (x_test, t_test) = load_strokes(train_size=50, test_size=50, seed=seed)
        return x, t, x_test, t_test

    for first, again, other in zip(load(3), load(3), load(4), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
    x, t, x_test, t_test = load(3)
    assert (x != x_test).any(axis=1).all()
    assert (t != t_test).any()


def test_what_is_learned_from_strokes_holds_for_new_strokes(splits):
    (x, t), (x_test, t_test) = splits
    assert accuracy(softmax_regression(x, t), x_test, t_test) > 0.8


def test_what_is_learned_from_strokes_holds_for_real_digits(splits, mnist):
    (x, t), _ = splits
    _, (x_real, t_real) = mnist
    assert accuracy(softmax_regression(x, t), x_real[:2000], t_real[:2000]) > 0.75
