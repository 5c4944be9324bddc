"""A mirror on the loopback that misbehaves as told, and small data sets for it to serve."""

import gzip
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from dataset.idx import write_idx
from dataset.mnist import FILE_NAMES
from dataset.pinned import PinnedFile, PinnedSet

Answer = Callable[[BaseHTTPRequestHandler], None]


class Mirror:
    """`with Mirror() as mirror`: answers on 127.0.0.1 what `mirror.serve` was told, and 404 elsewhere."""

    def __init__(self):
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                mirror.headers.append(dict(self.headers))
                answers = mirror.answers.get(self.path, [status(404)])
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                """Say nothing: a client that has seen enough hangs up."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.closing = self.closing
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, path: str, *answers: Answer) -> str:
        """Give `answers` to requests for `path` one after the other, the last one for ever; return the URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


def body(data: bytes, **headers) -> Answer:
    """200 and `data`; a Content-Length of None is left out, any other header (Content_Type) is sent as given."""

    def answer(handler):
        sent = {"Content_Length": len(data)} | headers
        handler.send_response(200)
        for name, value in sent.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def cut(data: bytes, length: int) -> Answer:
    """Promise `length` bytes, send `data` and reset the connection."""

    def answer(handler):
        body(data, Content_Length=length)(handler)
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    return answer


def stall(data: bytes, length: int) -> Answer:
    """Promise `length` bytes, send `data` and then nothing more until the mirror closes."""

    def answer(handler):
        body(data, Content_Length=length)(handler)
        handler.wfile.flush()
        handler.server.closing.wait(10)

    return answer


def drip(length: int) -> Answer:
    """Promise `length` bytes and send one every hundredth of a second, until the mirror closes."""

    def answer(handler):
        body(b"", Content_Length=length)(handler)
        with suppress(OSError):
            while not handler.server.closing.wait(0.01):
                handler.wfile.write(b".")
                handler.wfile.flush()

    return answer


def slow(data: bytes, seconds: float) -> Answer:
    """Send `data` in ten pieces, spread over `seconds`."""

    def answer(handler):
        body(b"", Content_Length=len(data))(handler)
        step = -(-len(data) // 10)
        for start in range(0, len(data), step):
            handler.wfile.write(data[start : start + step])
            handler.wfile.flush()
            time.sleep(seconds / 10)

    return answer


class SmallSet:
    """A data set of 20 + 10 images of 5 x 4, pinned as the real ones are, with the bytes of its four files."""

    def __init__(self, folder: Path, name: str, torch_name: str, seed: int, *, pin_unpacked=True, classes=10):
        rng = np.random.default_rng(seed)
        train, test = (20, 5, 4), (10, 5, 4)
        self.arrays = [
            rng.integers(0, 256, train, np.uint8),
            rng.permutation(np.arange(20, dtype=np.uint8) % classes),
            rng.integers(0, 256, test, np.uint8),
            rng.permutation(np.arange(10, dtype=np.uint8) % classes),
        ]
        self.packed = {}
        for file_name, array in zip(FILE_NAMES, self.arrays, strict=True):
            write_idx(folder / "packed.gz", array)
            self.packed[file_name] = (folder / "packed.gz").read_bytes()
        (folder / "packed.gz").unlink()
        self.unpacked = {file_name: gzip.decompress(packed) for file_name, packed in self.packed.items()}
        files = (
            PinnedFile(
                file_name,
                len(packed),
                hashlib.sha256(packed).hexdigest(),
                hashlib.sha256(self.unpacked[file_name]).hexdigest() if pin_unpacked else None,
            )
            for file_name, packed in self.packed.items()
        )
        self.pinned = PinnedSet(name, torch_name, (), tuple(files))

    def put(self, folder: Path, *, packed: bool = True) -> None:
        """Put the four files into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, content in (self.packed if packed else self.unpacked).items():
            (folder / (file_name + ".gz" * packed)).write_bytes(content)

    def serve(self, mirror: Mirror, path: str = "/set/") -> str:
        """Let `mirror` serve the four files below `path` and return that folder's URL."""
        for file_name, packed in self.packed.items():
            mirror.serve(f"{path}{file_name}.gz", body(packed))
        return mirror.url + path
