"""Losses: each worked by hand, a mean over the batch, and finite for answers that are wrong and certain."""

import numpy as np
import pytest
from layer_examples import gradients

from dlscratch.layers import HuberLoss, IdentityWithLoss, SigmoidWithLoss, SoftmaxWithLoss


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


def test_smoothing_moves_a_share_of_each_target_to_all_classes():
    scores, labels = np.array([[0.3, 2.9, 4.0]]), np.array([1])
    smoothed = np.array([[0.1, 0.8, 0.1]])
    loss, (dx, _) = gradients(SoftmaxWithLoss(smoothing=0.3), scores, labels, dy=1.0)
    expected, (expected_dx, _) = gradients(SoftmaxWithLoss(), scores, smoothed, dy=1.0)
    assert loss == pytest.approx(expected)
    np.testing.assert_allclose(dx, expected_dx)


def test_smoothing_leaves_the_loss_at_test_time_and_the_given_targets_alone():
    scores, t = np.array([[0.3, 2.9, 4.0]]), np.array([[0.0, 1.0, 0.0]])
    layer = SoftmaxWithLoss(smoothing=0.3)
    assert layer.predict(scores, t) == SoftmaxWithLoss().forward(scores, t)
    assert layer.forward(scores, t) != layer.predict(scores, t)
    np.testing.assert_array_equal(t, [[0, 1, 0]])


def test_sigmoid_with_loss_by_hand():
    scores, t = np.array([[0.0, np.log(3)], [0.0, 0.0]]), np.array([[1, 0], [0, 1]])
    loss, (dx, dt) = gradients(SigmoidWithLoss(), scores, t, dy=1.0)
    assert loss == pytest.approx((3 * np.log(2) + np.log(4)) / 2)
    np.testing.assert_allclose(dx, [[-0.25, 0.375], [0.25, -0.25]])
    assert dt is None


def test_sigmoid_with_loss_is_exact_in_both_tails():
    scores = np.array([[1e4, -1e4, 1e4, -1e4, 30.0]], np.float32)
    t = np.array([[0, 1, 1, 0, 1]], np.float32)
    loss, (dx, _) = gradients(SigmoidWithLoss(), scores, t, dy=1.0)
    assert loss == 2e4
    np.testing.assert_allclose(dx, [[1, -1, 0, 0, 0]], atol=1e-12)
    right = gradients(SigmoidWithLoss(), scores[:, 4:], t[:, 4:], dy=1.0)[0]
    assert right == pytest.approx(np.exp(-30.0), rel=1e-5, abs=0)  # not 0, as log(1 + exp(30)) - 30 is in float32


def test_huber_loss_by_hand():
    x, t = np.array([[1.0, 5.0], [0.0, -3.0]]), np.array([[0.5, 1.0], [0.0, 0.0]])
    loss, (dx, dt) = gradients(HuberLoss(2.0), x, t, dy=1.0)
    assert loss == (0.5 * 0.25 + 2 * (4 - 1) + 0 + 2 * (3 - 1)) / 2
    np.testing.assert_array_equal(dx, [[0.25, 1], [0, -1]])
    assert dt is None


@pytest.mark.parametrize("layer", [SoftmaxWithLoss(), SigmoidWithLoss(), HuberLoss(), IdentityWithLoss()], ids=str)
def test_labels_mean_one_hot_rows_to_every_loss(layer, rng):
    x, labels = rng.standard_normal((4, 3)), np.array([2, 0, 1, 1])
    of_labels, of_rows = (gradients(layer, x, t, dy=1.0) for t in (labels, np.eye(3)[labels]))
    assert of_labels[0] == of_rows[0]
    np.testing.assert_array_equal(of_labels[1][0], of_rows[1][0])


@pytest.mark.parametrize("layer", [SigmoidWithLoss(), HuberLoss()])
def test_targets_are_never_broadcast(layer):
    with pytest.raises(ValueError, match=r"targets for an output of shape \(3, 1\) are .* got float64 of shape \(3,\)"):
        layer.forward(np.zeros((3, 1)), np.zeros(3))


@pytest.mark.parametrize("smoothing", [-0.1, 1, float("nan")])
def test_a_smoothing_that_is_none_is_refused(smoothing):
    with pytest.raises(ValueError, match="expects a smoothing from 0 up to, but not including, 1, got"):
        SoftmaxWithLoss(smoothing)


def test_losses_print_what_they_were_made_with():
    layers = SoftmaxWithLoss(), SoftmaxWithLoss(smoothing=0.1), HuberLoss(), SigmoidWithLoss()
    assert (
        ", ".join(map(str, layers))
        == "SoftmaxWithLoss(), SoftmaxWithLoss(smoothing=0.1), HuberLoss(1.0), SigmoidWithLoss()"
    )
