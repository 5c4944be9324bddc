"""The report of one run: its numbers by hand, its text, its page."""

import json
import math
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest

from dlscratch.functions import softmax
from dlscratch.layers import Affine, Convolution, Flatten, MaxPooling, ReLU, Reshape
from dlscratch.models import MultiLayerNet, Sequential, SimpleConvNet, TwoLayerNet
from dlscratch.report import (
    as_images,
    confusion,
    examine,
    first_weights,
    most_confident_mistakes,
    precision,
    recall,
    sample_size,
    statistics,
)
from dlscratch.report_text import WIDTH, as_text, class_table, drawing
from dlscratch.runs import Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "a <script>&amp;run", {"dataset": "<b>", "lr": 0.1}, {"status": "finished"})


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 36), np.uint8), rng.integers(0, 3, 40).astype(np.uint8)


@pytest.fixture
def net(rng):
    return TwoLayerNet(36, 7, 3, rng=rng)


@pytest.fixture
def report(run, net, images):
    return examine(run, net, *images)


def perfect(run, features=9, classes=3):
    """The report on a net that knows each of its classes, one image to a class, by its own pixel."""
    layer = Affine(features, classes, rng=np.random.default_rng(0))
    layer.W = 20 * np.eye(features, classes, dtype=np.float32)
    return examine(run, Sequential(layer), np.eye(classes, features, dtype=np.float32), np.arange(classes))


# Numbers


def test_the_confusion_matrix_counts_answers_by_class():
    t, predicted = np.array([0, 0, 0, 1, 2, 2], np.uint8), np.array([0, 1, 1, 1, 2, 0])
    np.testing.assert_array_equal(confusion(t, predicted, 3), [[1, 2, 0], [0, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize(("t", "predicted"), [([0, 3], [0, 0]), ([0, 1], [-1, 0]), ([0, 1], [0]), ([[0]], [[0]])])
def test_the_confusion_matrix_takes_labels_of_its_classes_only(t, predicted):
    with pytest.raises(ValueError, match="confusion expects two vectors of labels from 0 to 2, got"):
        confusion(np.array(t), np.array(predicted), 3)


def test_precision_goes_down_the_columns_and_recall_along_the_rows():
    counts = np.array([[6, 2, 0], [1, 3, 0], [1, 0, 4]])
    np.testing.assert_allclose(precision(counts), [6 / 8, 3 / 5, 1])
    np.testing.assert_allclose(recall(counts), [6 / 8, 3 / 4, 4 / 5])


def test_a_class_that_never_occurs_or_is_never_predicted_has_no_share():
    np.testing.assert_array_equal(precision(np.array([[2, 0], [1, 0]])), [2 / 3, np.nan])
    np.testing.assert_array_equal(recall(np.array([[2, 1], [0, 0]])), [2 / 3, np.nan])


def test_mistakes_come_by_confidence_and_then_by_index():
    p = np.array([[0.3, 0.7], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    np.testing.assert_array_equal(most_confident_mistakes(p, np.array([0, 0, 0, 0, 1])), [3, 0, 2])
    assert most_confident_mistakes(p, p.argmax(axis=1)).size == 0


def test_rows_are_images_only_where_they_make_squares():
    np.testing.assert_array_equal(as_images(np.arange(8).reshape(2, 4)), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]])
    assert as_images(np.zeros((2, 6))) is None


def test_the_weights_of_a_unit_are_its_column_as_an_image(net):
    weights = first_weights(net)
    assert weights.shape == (7, 6, 6)
    np.testing.assert_array_equal(weights[4].ravel(), net.named_params["W1"][:, 4])


def test_the_filters_of_a_convolution_are_images(rng):
    net = SimpleConvNet((1, 6, 6), 4, 3, rng=rng, filters=7, size=3)
    np.testing.assert_array_equal(first_weights(net)[5], net.named_params["W1"][5, 0])
    assert first_weights(net).shape == (7, 3, 3)


def test_what_stands_before_the_first_weights_may_be_anything_without_any(rng):
    net = Sequential(Reshape(1, 6, 6), MaxPooling(2), Flatten(), Affine(9, 4, rng=rng), Affine(4, 4, rng=rng))
    np.testing.assert_array_equal(first_weights(net)[3].ravel(), net.named_params["W1"][:, 3])


def test_colour_images_and_first_layers_of_another_kind_give_no_pictures(rng):
    for first in (Convolution(3, 2, 3, rng=rng), Flatten()):
        assert first_weights(Sequential(Reshape(3, 4, 4), first, Flatten(), Affine(8, 2, rng=rng))) is None


def test_layers_are_looked_at_on_fewer_images_where_they_put_out_much(net, images, monkeypatch):
    for limit, size in ((17 * 100, 40), (17 * 20 + 16, 20), (1, 2)):  # 7 + 7 + 3 for an image
        monkeypatch.setattr("dlscratch.report.OUTPUTS", limit)
        assert sample_size(net, *images) == size


def test_layers_of_images_have_statistics_too(images, rng, run):
    net = SimpleConvNet((1, 6, 6), 4, 3, rng=rng, filters=2, size=3)
    x, t = images
    (convolution, pooling, *_, scores), params = statistics(net, x, t)
    assert [each.units for each in (convolution, pooling, scores)] == [2 * 4 * 4, 2 * 2 * 2, 3]
    assert params[0].shape == (2, 1, 3, 3)
    y, each = net.copy(np.float64), []
    for i in range(len(x)):
        y.loss(x[i : i + 1], t[i : i + 1])
        y.backward()
        node = y.loss_graph.nodes[1]
        each.append((np.linalg.norm(node.output.grad), node.output.value.mean()))
    assert (convolution.gradient, convolution.mean) == pytest.approx(tuple(np.mean(each, axis=0)))
    report = examine(run, net, x, t)
    assert "Reshape" not in as_text(report)  # there is nothing to be told of mere images
    assert "2 x 1 x 3 x 3" in as_text(report)
    assert max(map(len, as_text(report).splitlines())) <= WIDTH


def test_noise_and_averages_are_left_alone_by_a_report(images, run, rng):
    noise = np.random.default_rng(1)
    net = MultiLayerNet((36, 5, 3), rng=rng, noise=noise, batch_norm=True, dropout=0.5)
    state, averages = noise.bit_generator.state, [buffer.copy() for buffer in net.named_buffers.values()]
    examine(run, net, *images)
    assert noise.bit_generator.state == state
    np.testing.assert_array_equal(averages, list(net.named_buffers.values()))


def test_the_statistics_of_layers_worked_by_hand(rng):
    net = Sequential(Affine(1, 2, rng=rng), ReLU(), Affine(2, 2, rng=rng))
    for name, value in {"W1": [[1, -1]], "b1": [0, -2], "W2": [[1, 0], [0, 1]], "b2": [0, 0]}.items():
        net.named_params[name][...] = value
    x, t = np.array([[0.0], [3.0]]), np.array([0, 1])  # so y = (0, -2) and (3, -5), and ReLU leaves (0, 0) and (3, 0)
    (first, relu, scores), (W1, *_) = statistics(net, x, t)
    assert (first.layer, first.mean, first.zeros, first.dead) == ("Affine(1 -> 2)", -1, 0.25, 0)
    assert first.std == pytest.approx(math.sqrt((1**2 + 1**2 + 4**2 + 4**2) / 4))
    assert (relu.mean, relu.zeros, relu.dead, relu.units) == (0.75, 0.75, 1, 2)
    assert (relu.counts.sum(), relu.edges.mean()) == (1, pytest.approx(3))
    p = 1 / (1 + math.exp(-3))  # of class 0 in the second image; in the first it is ½
    assert scores.gradient == pytest.approx(math.sqrt(2) * (0.5 + p) / 2)  # ‖y - t‖
    assert first.gradient == pytest.approx(p / 2)  # through the one unit that is above 0
    assert (W1.name, W1.shape, W1.mean, W1.std, W1.norm) == ("W1", (1, 2), 0, 1, pytest.approx(math.sqrt(2)))
    assert W1.gradient == pytest.approx(3 * p / 2)


def test_statistics_do_not_depend_on_the_size_of_the_batch(net, images):
    once, twice = (statistics(net, *(np.tile(a, (n,) + (1,) * (a.ndim - 1)) for a in images)) for n in (1, 2))
    for a, b in zip([*once[0], *once[1]], [*twice[0], *twice[1]], strict=True):
        assert a.gradient == pytest.approx(b.gradient)
        assert (a.mean, a.std) == (pytest.approx(b.mean), pytest.approx(b.std))


def test_a_report_agrees_with_the_net_and_with_itself(report, net, images):
    loss, accuracy = net.evaluate(*images)
    assert (report.loss, report.accuracy) == (pytest.approx(loss, rel=1e-5), pytest.approx(accuracy))
    np.testing.assert_allclose(report.p, softmax(net.predict(images[0])), rtol=1e-5)
    assert report.confusion.sum() - np.trace(report.confusion) == len(report.mistakes)
    np.testing.assert_array_equal(report.confusion.sum(axis=1), np.bincount(images[1]))
    t, answers = report.mistaken
    assert np.all(t != answers)


def test_a_net_is_the_same_after_its_report(net, images, run):
    net.loss(*images)
    net.backward()
    before = net.params.copy(), net.grads.copy()
    examine(run, net, images[0][:5], images[1][:5])
    np.testing.assert_array_equal(net.params, before[0])
    np.testing.assert_array_equal(net.grads, before[1])
    net.backward()  # which would not fit the images of the report
    np.testing.assert_array_equal(net.grads, before[1])


def test_a_net_that_has_diverged_is_told_in_a_sentence(net, images, run):
    net.params[...] = 3e38
    with pytest.raises(ValueError, match="gives scores that are not finite: its training diverged"):
        examine(run, net, *images)


# Text


def test_the_text_fits_a_terminal_and_any_encoding(report):
    text = as_text(report)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.isascii()
    assert f"test accuracy {report.accuracy:.4f}" in text
    for title in ("Confusion", "Classes", "Mistakes", "Layers", "Parameters"):
        assert f"\n{title}: " in text


def test_the_text_says_whose_digits_stood_in(report, run):
    run.facts["note"] = "MNIST is not to be had"
    assert "\nMNIST is not to be had\n" in as_text(report)


def test_what_has_no_share_is_a_dash(run, rng):
    layer = Affine(4, 3, rng=rng)
    layer.b = np.array([0, 9, 0], np.float32)
    report = examine(run, Sequential(layer), np.zeros((2, 4), np.uint8), np.array([0, 1]))
    rows = class_table(report).rows
    assert rows == (("0", "1", "-", "0.0000", "1 (1)"), ("1", "1", "0.5000", "1.0000", "-"), ("2", "0", "-", "-", "-"))
    assert "nan" not in as_text(report)


def test_a_table_too_wide_for_a_terminal_is_left_to_the_page(run):
    text = as_text(perfect(run, 64, 47))
    assert "Confusion: too wide for 100 columns" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_two_rows_of_an_image_are_drawn_as_one_line():
    image = np.array([[255, 0, 0], [255, 0, 255], [0, 255, 0]], np.uint8)
    assert drawing(image) == ["@ =", " = "]
    assert drawing(image / 255) == ["@ =", " = "]


def test_a_net_without_mistakes_and_images_without_squares_are_reported_too(run):
    assert "0 of 3 images are misread" in as_text(perfect(run))
    assert "0 of 3 images are misread" in as_text(perfect(run, features=5))


# The page


class Outline(HTMLParser):
    """The elements of a page; asserts that they nest."""

    VOID = ("meta", "img")

    def __init__(self, page):
        super().__init__()
        self.open, self.found, self.text, self.places = [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        self.places.append(self.open[-1] if self.open else "")

    def inside(self, tag):
        return [text for text, place in zip(self.text, self.places, strict=True) if place == tag]

    def attributes(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def write_report():
    pytest.importorskip("matplotlib")
    from dlscratch.report_page import write_report

    return write_report


EPOCHS = """\
epoch,step,examples,seconds,train_loss,train_acc,test_loss,test_acc
0,0,0,0,2,.3,2,.3
1,1,10,.1,1,.5,1,.4
"""


def test_the_page_holds_its_pictures_and_needs_no_network(report, run, write_report, tmp_path):
    run.folder.mkdir()
    config = {"dataset": "<b>", "hidden": "7", "optimizer": "SGD", "lr": 0.1, "batch_size": 10}
    (run.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (run.folder / "epochs.csv").write_text(EPOCHS, encoding="utf-8")
    (run.folder / "steps.csv").write_text("step,epoch,examples,seconds,loss,lr\n1,1,10,.1,2,.1\n", encoding="utf-8")
    run.facts["note"] = "<img src=x>"

    path = write_report(report, tmp_path / "new" / "folder")
    text = path.read_text(encoding="utf-8")
    page = Outline(text)
    pictures = {file.name: b64encode(file.read_bytes()).decode() for file in path.parent.glob("*.png")}
    assert pictures.keys() == {"curves.png", "confusion.png", "mistakes.png", "weights.png", "activations.png"}
    shown = page.attributes("img")
    assert [image["src"] for image in shown] == [
        f"data:image/png;base64,{pictures[f'{title.lower()}.png']}" for title in page.inside("h2")
    ]
    assert all(image["alt"] for image in shown)
    assert "url(" not in text
    assert not {"script", "link", "b"} & {tag for tag, _ in page.found}  # nothing from a run is markup
    assert {"a <script>&amp;run", "<b>", "<img src=x>"} <= set(page.text)
    assert {str(count or ".") for count in report.confusion.ravel()} <= set(page.inside("td"))


@pytest.mark.parametrize(("features", "pictures"), [(9, {"confusion", "weights", "activations"}),
                                                    (5, {"confusion", "activations"})])  # fmt: skip
def test_what_is_not_there_is_not_drawn(run, write_report, tmp_path, features, pictures):
    (tmp_path / "out").mkdir()
    path = write_report(perfect(run, features), tmp_path / "out")
    assert {file.stem for file in path.parent.glob("*.png")} == pictures
    Outline(path.read_text(encoding="utf-8"))


def test_a_disk_that_refuses_is_named(report, write_report, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        write_report(report, tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")
