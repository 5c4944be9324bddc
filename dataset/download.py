"""Fetch one file whose size and SHA-256 are known from the first mirror that really has it.

A mirror is trusted with nothing, so whatever it does wrong only means: ask the next one.
"""

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ProtocolError

from dataset import DataError
from dataset.files import replacing

TIMEOUT = (10.0, 30.0)  # seconds: to connect, and of silence after that
SLOWEST, PATIENCE = 5_000, 60.0  # bytes a second that a mirror must reach; seconds until that is asked of it
PAUSE = 1.0  # seconds before the second try
CHUNK = 1 << 16  # bytes


class MirrorError(Exception):
    """What a mirror did wrong; `passing` if it may do better at a second try."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def download(path: Path, urls: Sequence[str], *, size: int, sha256: str) -> None:
    """Put the file of `size` bytes with that SHA-256 at `path`, from the first of `urls` that delivers it.

    When all have been asked, those with a passing fault (no connection, cut off, 5xx) are asked once more.
    Raises DataError with the reason of each URL if none delivers, and OSError, at once, if the disk refuses.
    """
    faults: dict[str, MirrorError] = {}
    for url in chain(urls, _second_round(faults)):
        try:
            return _fetch(url, path, size, sha256)
        except MirrorError as fault:
            faults[url] = fault
    reasons = "; ".join(f"{url}: {fault}" for url, fault in faults.items())
    raise DataError(f"{path.name} could not be fetched ({reasons or 'no mirror is known'})")


def _second_round(faults: Mapping[str, MirrorError]) -> Iterator[str]:
    """Being a generator, look at the faults only once the first round is over."""
    passing = [url for url, fault in faults.items() if fault.passing]
    if passing:
        time.sleep(PAUSE)
    yield from passing


def _fetch(url: str, path: Path, size: int, sha256: str) -> None:
    digest = hashlib.sha256()
    with (
        replacing(path) as file,
        tqdm(
            total=size, unit="B", unit_scale=True, desc=path.name, leave=False, disable=None if sys.stderr else True
        ) as bar,
    ):
        for chunk in _body(url, size):
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
        if digest.hexdigest() != sha256:
            raise MirrorError(f"SHA-256 {digest.hexdigest()} instead of {sha256}")


def _body(url: str, size: int) -> Iterator[bytes]:
    """Yield the `size` bytes of a reply as they lie on the server; anything else is a MirrorError.

    The raw body is read, because a server that labels a .gz file `Content-Encoding: gzip` would have it
    unpacked (psf/requests#4346). One byte more than `size` is asked for, to tell a body that is too long.
    """
    left, start = size + 1, time.monotonic()
    try:
        headers = {"Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as reply:
            _check(reply, size)
            read = getattr(reply.raw, "read1", reply.raw.read)  # which waits for no more; urllib3 1 does not have it
            while left and (chunk := read(min(CHUNK, left), decode_content=False)):
                left -= len(chunk)
                yield chunk
                if time.monotonic() - start > PATIENCE + (size + 1 - left) / SLOWEST:
                    raise MirrorError(
                        f"sent {size + 1 - left} bytes in {time.monotonic() - start:.0f} s, which is too slow"
                    )
    except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
        lost = isinstance(error, (requests.ConnectionError, ProtocolError))
        passing = lost and not isinstance(error, requests.Timeout)
        raise MirrorError(_reason(error), passing=passing) from error
    if left > 1:
        raise MirrorError(f"ended after {size + 1 - left} of {size} bytes", passing=True)
    if left == 0:
        raise MirrorError(f"sent more than {size} bytes")


def _check(reply: requests.Response, size: int) -> None:
    if reply.status_code != requests.codes.ok:
        raise MirrorError(f"{reply.status_code} {reply.reason}", passing=reply.status_code >= 500)
    length = reply.headers.get("Content-Length", str(size))
    if length != str(size):
        kind = reply.headers.get("Content-Type", "no type")
        raise MirrorError(f"offers {length} bytes ({kind}) instead of {size}")


def _reason(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat the URL and name the insides of the HTTP library."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__
