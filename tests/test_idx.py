import gzip
import hashlib
import os
import struct
import tracemalloc

import numpy as np
import pytest

from dataset import DataError
from dataset.idx import read_idx, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4)
PLAIN = HEADER + IMAGES.tobytes()


@pytest.fixture
def read(tmp_path):
    """Return a function that reads bytes as an IDX file."""

    def read(content, **options):
        (tmp_path / "some.idx").write_bytes(content)
        return read_idx(tmp_path / "some.idx", **options)

    return read


def test_an_array_is_read_as_the_format_says(read):
    np.testing.assert_array_equal(read(PLAIN), IMAGES, strict=True)


def test_a_packed_file_is_told_by_its_first_bytes_whatever_its_name(read):
    np.testing.assert_array_equal(read(gzip.compress(PLAIN)), IMAGES, strict=True)


def test_numbers_lie_big_endian_on_disk(tmp_path):
    write_idx(tmp_path / "x.idx", np.array([1, -2], np.int16))
    assert (tmp_path / "x.idx").read_bytes() == b"\0\0\x0b\x01\0\0\0\x02\0\x01\xff\xfe"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3, 4), (1,) * 9])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_every_type_and_shape_comes_back_as_it_was(tmp_path, dtype, shape, suffix):
    array = np.random.default_rng(0).normal(scale=50, size=shape).astype(dtype)
    write_idx(tmp_path / f"x{suffix}", array)
    back = read_idx(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(back, array, strict=True)
    assert back.dtype.isnative
    assert back.flags.writeable


def test_byte_order_and_strides_do_not_matter_to_the_file(tmp_path):
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    write_idx(tmp_path / "a", array)
    write_idx(tmp_path / "b", array.astype(">i4"))
    write_idx(tmp_path / "c", np.asfortranarray(array))
    write_idx(tmp_path / "d", np.repeat(array, 2, axis=1)[:, ::2])
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


def test_packed_files_of_equal_arrays_are_equal_whatever_their_name(tmp_path):
    write_idx(tmp_path / "a.gz", IMAGES)
    write_idx(tmp_path / "b.gz", IMAGES)
    packed = (tmp_path / "a.gz").read_bytes()
    assert packed == (tmp_path / "b.gz").read_bytes()
    assert packed[4:8] == bytes(4)  # no time of writing
    assert gzip.decompress(packed) == PLAIN


@pytest.mark.parametrize("array", [np.arange(3), np.array([True]), np.array(["a"]), np.zeros(2, np.uint16), 1j])
def test_a_type_that_idx_lacks_is_refused_and_nothing_is_written(tmp_path, array):
    with pytest.raises(DataError, match="IDX holds u1, i1, i2, i4, f4, f8"):
        write_idx(tmp_path / "x", array)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_the_header_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="4294967296"):
        write_idx(tmp_path / "x", np.broadcast_to(np.uint8(0), (1 << 32,)))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", r"got b''"),
        (b"\0\0\x08", r"got b'\\x00\\x00\\x08'"),
        (b"<!DOCTYPE html>", "got b'<!DO'"),
        (b"\0\1" + PLAIN[2:], "begin with 00 00"),
        (b"\0\0\x0a" + PLAIN[3:], "08 09 0b 0c 0d 0e"),
        (PLAIN[:10], "within the lengths of its 3 dimensions"),
        (HEADER, "claims 40 bytes, the file can hold 16"),
        (PLAIN[:-1], "claims 40 bytes, the file can hold 39"),
        (PLAIN + b"\0", "goes on after the 40 bytes"),
        (bytes([0, 0, 8, 2]) + struct.pack(">2I", 1 << 16, 1 << 16), "claims 4294967308 bytes"),
        (bytes([0, 0, 14, 255]) + b"\xff" * 1020, "claims"),
        (bytes([0, 0, 8, 65]) + b"\0\0\0\1" * 65 + b"\0", "shape"),
        (bytes([0, 0, 8, 4]) + b"\0\0\0\0" + b"\xff" * 12, "shape"),
    ],
)
def test_a_plain_file_that_is_not_what_it_claims_is_named_and_refused(read, content, fault):
    with pytest.raises(DataError, match=rf"some\.idx is damaged or no IDX file: .*{fault}"):
        read(content)


def flip(content, index):
    return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]


PACKED = gzip.compress(PLAIN, mtime=0)


# under names of their own: the processes of pytest compare names, and gzip writes the time into its header
DAMAGED = {
    "one byte": PACKED[:1],
    "half a header": PACKED[:5],
    "half a file": PACKED[: len(PACKED) // 2],
    "the last data cut": PACKED[:-9],
    "the length cut": PACKED[:-4],
    "a flipped bit of data": flip(PACKED, len(PACKED) // 2),
    "a flipped bit of the checksum": flip(PACKED, len(PACKED) - 8),
    "a flipped bit of the length": flip(PACKED, len(PACKED) - 1),
    "garbage after it": PACKED + b"garbage",
    "another file after it": PACKED + gzip.compress(b"more"),
    "half a copy after it": PACKED + PACKED[:-4],
    "a byte too few inside": gzip.compress(PLAIN[:-1]),
    "a byte too many inside": gzip.compress(PLAIN + b"\0"),
    "nothing inside": gzip.compress(b""),
    "a page inside": gzip.compress(b"<html>"),
    "packed twice": gzip.compress(gzip.compress(PLAIN)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_packed_file_that_is_damaged_is_named_and_refused(read, content):
    with pytest.raises(DataError, match=r"some\.idx is damaged or no IDX file: .+"):
        read(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_hostile_header_takes_no_memory(read, pack):
    four_gigabytes = bytes([0, 0, 8, 2]) + struct.pack(">2I", 1 << 16, 1 << 16)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="claims 4294967308 bytes"):
            read(pack(four_gigabytes + bytes(1000)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_nothing_is_unpacked_beyond_what_the_header_claims(read):
    bomb = gzip.compress(HEADER + bytes(20 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="goes on after the 40 bytes"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_as_tight_as_deflate_can_pack_is_still_read(read):
    zeros = np.zeros((20, 1000, 1000), np.uint8)
    content = gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", *zeros.shape) + zeros.tobytes(), 9)
    assert zeros.nbytes > 1000 * len(content)
    assert read(content).shape == zeros.shape


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_flipped_bit_does_not_pass_the_sha256(read, pack):
    expected = hashlib.sha256(PLAIN).hexdigest()
    np.testing.assert_array_equal(read(pack(PLAIN), sha256=expected), IMAGES)
    for index in (20, 39):
        with pytest.raises(DataError, match=f"SHA-256 of its unpacked bytes is .*, expected {expected}"):
            read(pack(flip(PLAIN, index)), sha256=expected)


def test_the_same_numbers_in_another_shape_do_not_pass_the_sha256(read):
    turned = HEADER[:8] + struct.pack(">2I", 4, 3) + IMAGES.tobytes()
    assert read(turned).shape == (2, 4, 3)
    with pytest.raises(DataError, match="SHA-256"):
        read(turned, sha256=hashlib.sha256(PLAIN).hexdigest())


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing.idx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="is no regular file"):
            read_idx(path)
