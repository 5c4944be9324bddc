"""dataset.pictures and dataset.ink: a person's own picture becomes what a net was trained on."""

import io

import numpy as np
import pytest

from dataset import DataError
from dataset.ink import _blots, _means, _otsu, as_digit
from dataset.pictures import as_levels, read_picture
from dataset.strokes import draw_digits

LABELS = np.arange(30) % 10


@pytest.fixture(scope="module")
def digits():
    return draw_digits(LABELS, rng=np.random.default_rng(0))


def enlarged(digit, times=6):
    """A digit (28, 28) as ink levels 0 to 1, each pixel a square of `times` a side."""
    return np.kron(digit / np.float32(255), np.ones((times, times), np.float32))


def on_paper(ink, height, width, top, left, paper=1.0, black=0.0):
    """Grey levels (height, width) of paper with the ink on it, its upper left corner at (top, left)."""
    strength = np.zeros((height, width), np.float32)
    strength[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return np.float32(paper) * (1 - strength) + np.float32(black) * strength


def likeness(image, digit):
    """The correlation of two images, one of them shifted by a pixel at most: to round its place may go either way."""
    shifted = (np.roll(image, shift, (0, 1)).ravel() for shift in np.ndindex(3, 3))
    digit = np.roll(digit, 1, (0, 1)).ravel()
    return max(np.corrcoef(each, digit)[0, 1] for each in shifted)


def test_means_of_pixels_by_hand():
    np.testing.assert_allclose(_means(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(_means(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    np.testing.assert_allclose(_means(1, 2), [[1], [1]])


def test_otsu_parts_two_heaps_by_hand():
    assert 2 < _otsu(np.array([0, 1, 2, 8, 9], np.float32)) < 8.01


def test_blots_touch_at_corners_too_and_not_around_the_border():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    blots = _blots(mask)
    assert blots[0, 0] == blots[1, 1] != 0
    assert len({blots[0, 0], blots[0, 3], blots[2, 3], 0}) == 4
    np.testing.assert_array_equal(blots > 0, mask)


def test_an_image_in_the_form_of_mnist_comes_through_nearly_unchanged(digits):
    for digit in digits[:10]:
        assert likeness(as_digit(digit / np.float32(255)), digit) > 0.85


def test_dark_on_light_gives_the_same_as_light_on_dark(digits):
    for digit in digits[:10]:
        light = as_digit(digit / np.float32(255))
        np.testing.assert_allclose(as_digit(1 - digit / np.float32(255)), light, atol=2)


def shade(height, width):
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return 0.9 - 0.4 * x - 0.2 * (y - 0.4) ** 2


def shadow(height, width):
    return np.where(np.arange(width) < 0.45 * width, 0.9, 0.55) * np.ones((height, 1))


def board(height, width):
    return 0.05 + 0.1 * shade(height, width)


@pytest.mark.parametrize("paper", [shade, shadow, board])
@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(300, 400, 20, 220), (250, 300, 40, 2), (700, 500, 500, 30)]
)
def test_size_place_shade_and_noise_make_no_difference(digits, rng, height, width, top, left, paper):
    lit = paper(height, width)
    black = lit + 0.6 if paper is board else lit * 0.3
    for digit in digits[:3]:
        picture = on_paper(enlarged(digit), height, width, top, left, lit, black)
        picture += 0.02 * rng.standard_normal(picture.shape)
        assert likeness(as_digit(picture), digit) > 0.85


def test_specks_ruled_lines_and_the_edge_of_the_table_are_left_out(digits):
    for digit in digits[:3]:
        picture = on_paper(enlarged(digit), 300, 400, 90, 150, 0.95, 0.1)
        expected = as_digit(picture)
        picture[::30] -= 0.15 * (picture[::30] > 0.5)
        picture[20:24, 50:54] = picture[250:254, 370:374] = 0.1
        picture[:, :60] = 0.2
        assert likeness(as_digit(picture), expected) > 0.85


def test_a_digit_at_the_border_is_not_taken_for_the_edge_of_the_table(digits):
    for digit in digits[:3]:
        rows, columns = np.nonzero(digit > 100)
        ink = enlarged(digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
        picture = on_paper(ink, 200, 260, 40, 0)
        picture[20:29, 230:239] = 0  # a speck
        assert likeness(as_digit(picture), digit) > 0.85


def test_a_small_digit_in_a_large_picture_is_seen_from_near_by(digits):
    for digit in digits[:3]:
        assert likeness(as_digit(on_paper(enlarged(digit, 3), 1000, 1500, 800, 1300)), digit) > 0.85


def test_shade_that_goes_on_to_the_border_is_no_ink(digits):
    y, x = np.mgrid[0:600, 0:900]
    lit = 0.95 - 0.3 * x / 900 - 0.3 * y / 600
    for digit in digits[:3]:
        assert likeness(as_digit(on_paper(enlarged(digit, 2), 600, 900, 200, 300, lit, lit * 0.7)), digit) > 0.85


def test_the_centre_of_mass_is_that_of_mnist_even_of_a_narrow_digit():
    one = np.ones((200, 200), np.float32)
    one[30:170, 30:40] = 0
    image = as_digit(one)
    rows, columns = np.nonzero(image)
    assert (np.ptp(rows), np.ptp(columns)) == (19, 0)
    assert (rows.mean(), columns.mean()) == pytest.approx((14, 14), abs=0.5)


def test_the_ink_may_be_told_instead_of_found_out(digits):
    digit = digits[3]
    told = as_digit(digit / np.float32(255), light_ink=True)
    np.testing.assert_array_equal(told, as_digit(digit / np.float32(255)))
    ring = on_paper(enlarged(digits[0]), 200, 200, 10, 10)
    assert likeness(as_digit(ring, light_ink=True), as_digit(ring)) < 0.5  # the hole of a 0, and not its ring


@pytest.mark.parametrize("level", [0, 0.5, 1])
@pytest.mark.parametrize("noise", [0, 0.01, 0.05])
def test_where_there_is_no_ink_none_is_found(rng, level, noise):
    for size in ((28, 28), (150, 200), (400, 300)):
        with pytest.raises(DataError, match="no ink"):
            as_digit(np.float32(level) + noise * rng.standard_normal(size, np.float32))


@pytest.mark.parametrize("size", [(7, 7), (1, 500), (2000, 9)])
def test_what_is_too_small_is_refused(size):
    with pytest.raises(DataError, match=f"{size[1]} x {size[0]} pixels are too few"):
        as_digit(np.ones(size, np.float32))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_white_is_told_by_the_largest_number(white):
    np.testing.assert_allclose(as_levels(np.array([[0, white]])), [[0, 1]])
    np.testing.assert_allclose(as_levels(np.array([[white / 5, white]])), [[0.2, 1]])


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (28, 28, 1), (784,), (1, 784)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_an_array_is_read_in_every_form(digits, tmp_path, shape, dtype):
    levels = digits[0] / 255
    array = {np.uint8: digits[0], np.float32: levels, bool: levels > 0.5}[dtype].astype(dtype)
    np.save(tmp_path / "digit.npy", array.reshape(shape))
    read = read_picture(tmp_path / "digit.npy")
    assert (read.dtype, read.shape) == (np.float32, (28, 28))
    np.testing.assert_allclose(read, levels > 0.5 if dtype is bool else levels, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((3, 28, 28)), r"one grey picture .* \(3, 28, 28\)"),
        (np.zeros(783), r"\(783,\)"),
        (np.full((28, 28), -1), "numbers from 0"),
        (np.full((28, 28), np.nan), "numbers from 0"),
        (np.full((28, 28), 70000), "numbers from 0"),
        (np.full((28, 28), "a"), "numbers from 0"),
        (np.zeros((0, 28)), "numbers from 0"),
        (np.array([{}]), "damaged"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, what):
    np.save(tmp_path / "array.npy", array)
    with pytest.raises(DataError, match=rf"array.npy.*{what}"):
        read_picture(tmp_path / "array.npy")


def test_a_folder_an_empty_file_and_text_are_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "none.png")
    pytest.importorskip("PIL")
    for content in (b"", b"seven"):
        (tmp_path / "text.png").write_bytes(content)
        with pytest.raises(DataError, match=r"text.png: .*save it as PNG"):
            read_picture(tmp_path / "text.png")


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


RAMP = (np.arange(40 * 30).reshape(40, 30) % 256).astype(np.uint8)  # a picture whose every turn is another


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_formats_without_loss_give_the_same_levels(pillow, tmp_path, format):
    pillow.fromarray(RAMP).save(tmp_path / "a", format)
    np.testing.assert_allclose(read_picture(tmp_path / "a"), RAMP / 255, atol=1e-6)


def test_sixteen_bits_palettes_and_colours_give_the_same_levels(pillow, tmp_path):
    deep = pillow.fromarray(RAMP.astype(np.uint16) * 257)
    palette = pillow.fromarray(RAMP).convert("RGB").quantize(256)
    for image in (deep, palette, pillow.fromarray(RAMP).convert("RGB"), pillow.fromarray(RAMP).convert("RGBA")):
        image.save(tmp_path / "a.png")
        np.testing.assert_allclose(read_picture(tmp_path / "a.png"), RAMP / 255, atol=0.01, err_msg=image.mode)


@pytest.mark.parametrize("ink", [0, 255])
def test_transparency_is_paper_whatever_the_ink(pillow, tmp_path, ink):
    pixels = np.full((40, 30, 4), ink, np.uint8)
    pixels[..., 3] = RAMP
    pillow.fromarray(pixels).save(tmp_path / "a.png")
    expected = RAMP / 255 if ink else 1 - RAMP / 255
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), expected, atol=0.01)


def test_a_photo_is_turned_as_the_camera_was_held(pillow, tmp_path):
    image = pillow.fromarray(RAMP)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned right by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), np.rot90(RAMP, -1) / 255, atol=1e-6)


def test_a_picture_that_is_too_large_is_refused_before_it_is_unpacked(pillow, tmp_path):
    pillow.new("1", (10_000, 8_001)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"10000 x 8001 pixels are too many; make it smaller"):
        read_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "NPY"])
def test_a_damaged_file_is_a_sentence_or_still_a_picture(pillow, tmp_path, rng, format):
    buffer = io.BytesIO()
    np.save(buffer, RAMP) if format == "NPY" else pillow.fromarray(RAMP).save(buffer, format)
    content, refused = buffer.getvalue(), 0
    for trial in range(100):
        damaged = bytearray(content[: rng.integers(len(content))] if trial % 2 else content)
        for place in rng.integers(0, max(len(damaged), 1), 3)[: len(damaged)]:
            damaged[place] = rng.integers(256)
        (tmp_path / "a").write_bytes(damaged)
        try:
            assert read_picture(tmp_path / "a").ndim == 2
        except DataError:
            refused += 1
    assert refused > 20


def test_what_was_learned_holds_for_pictures_of_real_digits(mnist, rng):
    (x, t), (x_test, t_test) = mnist
    kept = t[:5000] == np.arange(10)[:, np.newaxis]
    means = np.stack([x[:5000][each].mean(axis=0) for each in kept])  # the simplest of classifiers: the nearest mean
    images, labels = x_test[:40].reshape(-1, 28, 28), t_test[:40]
    lit = shade(260, 330)
    pictures = []
    for image in images:
        place = rng.integers(0, 120), rng.integers(0, 190)
        picture = on_paper(enlarged(255 * image, 5), 260, 330, *place, lit, lit * 0.4)
        pictures.append(as_digit(picture + 0.02 * rng.standard_normal(picture.shape)) / 255)

    def accuracy(images):
        away = np.reshape(images, (-1, 1, 784)) - means
        return np.mean((away**2).sum(axis=2).argmin(axis=1) == labels)

    assert accuracy(pictures) > accuracy(images) - 0.06
