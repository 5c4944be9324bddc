import errno
import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mirror import Mirror, body, cut, drip, slow, stall, status

from dataset import DataError, download
from dataset.download import MirrorError

CONTENT = gzip.compress(np.random.default_rng(0).bytes(200_000), mtime=0)
SIZE, SHA256 = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def no_patience(monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (5.0, 0.2))


@pytest.fixture
def mirror():
    with Mirror() as mirror:
        yield mirror


@pytest.fixture
def target(tmp_path):
    (tmp_path / "mnist").mkdir()
    return tmp_path / "mnist" / "images.gz"


def fetch(path, *urls):
    download.download(path, urls, size=SIZE, sha256=SHA256)


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_a_good_mirror_delivers(mirror, target):
    fetch(target, mirror.serve("/images.gz", body(CONTENT)))
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert mirror.headers[0]["Accept-Encoding"] == "identity"


def test_mirrors_are_asked_in_order_until_one_delivers(mirror, target):
    urls = [mirror.serve("/a", status(404)), mirror.serve("/b", body(CONTENT)), mirror.serve("/c", body(CONTENT))]
    fetch(target, *urls)
    assert mirror.requests == ["/a", "/b"]


FAULTS = {
    "not found": (status(404), "404 Not Found"),
    "forbidden": (status(403), "403 Forbidden"),
    "server error": (status(503), "503 Service Unavailable"),
    "an HTML page": (
        body(b"<html>Sign in</html>", Content_Type="text/html"),
        rf"offers 20 bytes \(text/html\) instead of {SIZE}",
    ),
    "an HTML page of the right size": (
        body(b"<html>".ljust(SIZE), Content_Type="text/html"),
        "SHA-256 .* instead of",
    ),
    "a short body": (body(CONTENT[:-1]), rf"offers {SIZE - 1} bytes \(no type\) instead of {SIZE}"),
    "a short body of unknown length": (
        body(CONTENT[:-1], Content_Length=None),
        f"ended after {SIZE - 1} of {SIZE} bytes",
    ),
    "a short body that lies about its length": (
        body(CONTENT[:-1], Content_Length=SIZE),
        rf"{SIZE - 1} bytes read, 1 more expected",
    ),
    "a long body": (body(CONTENT + b"\0"), f"offers {SIZE + 1} bytes"),
    "a long body of unknown length": (body(CONTENT + b"\0", Content_Length=None), f"sent more than {SIZE} bytes"),
    "no length that is a number": (body(CONTENT, Content_Length="many"), "offers many bytes"),
    "wrong bytes": (body(CONTENT[::-1]), f"SHA-256 [0-9a-f]{{64}} instead of {SHA256}"),
    "a connection cut at once": (cut(b"", SIZE), "reset|Remote end closed|expected"),
    "a connection cut half way": (cut(CONTENT[: SIZE // 2], SIZE), "reset|expected"),
    "no HTTP": (lambda handler: handler.wfile.write(b"SSH-2.0\r\n"), "SSH-2.0"),
    "an endless redirect": (lambda handler: redirect(handler, handler.path), "30 redirects"),
    "a redirect to nowhere": (lambda handler: redirect(handler, "nonsense://x"), "nonsense://x"),
}


def redirect(handler, where):
    handler.send_response(302)
    handler.send_header("Location", where)
    handler.end_headers()


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_is_wrong_with_a_mirror_the_next_one_is_asked(mirror, target, name):
    answer, _ = FAULTS[name]
    fetch(target, mirror.serve("/bad", answer), mirror.serve("/good", body(CONTENT)))
    assert target.read_bytes() == CONTENT
    assert mirror.requests[-1] == "/good"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_only_mirror_is_told_and_leaves_the_old_file(mirror, target, name):
    answer, reason = FAULTS[name]
    target.write_bytes(b"old")
    url = mirror.serve("/bad", answer)
    with pytest.raises(DataError, match=rf"^images\.gz could not be fetched \({url}: .*({reason})") as caught:
        fetch(target, url)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param(f"http://127.0.0.1:{closed_port()}/", "Connection refused|actively refused", id="a closed port"),
        ("", "Invalid URL ''"),
        ("data/mnist/", "No scheme supplied"),
        ("ftp://127.0.0.1/", "No connection adapters"),
        ("http://", "No host supplied"),
        ("http://[::1/", "Invalid|Failed to parse|label"),
        ("http://127.0.0.1:port/", "Failed to parse"),
        ("http://*.\udcff/", ".+"),
    ],
)
def test_a_url_that_leads_nowhere_moves_on_to_the_next(mirror, target, url, reason):
    with pytest.raises(DataError, match=reason):
        fetch(target, url)
    fetch(target, url, mirror.serve("/good", body(CONTENT)))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", [status(500), status(503), cut(CONTENT[:100], SIZE), cut(b"", SIZE)])
def test_a_passing_fault_gets_a_second_try(mirror, target, fault):
    fetch(target, mirror.serve("/images.gz", fault, body(CONTENT)))
    assert target.read_bytes() == CONTENT


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("sent", [b"", CONTENT[: SIZE // 2]])
def test_a_mirror_that_falls_silent_is_left_for_the_next_one(mirror, target, sent):
    silent = mirror.serve("/silent", stall(sent, SIZE))
    with pytest.raises(DataError, match="timed out"):
        fetch(target, silent)
    assert mirror.requests == ["/silent"]  # no second try: it would take as long
    fetch(target, silent, mirror.serve("/good", body(CONTENT)))
    assert target.read_bytes() == CONTENT


def test_a_mirror_that_only_drips_is_left_for_the_next_one(mirror, target, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    dripping = mirror.serve("/drip", drip(SIZE))
    with pytest.raises(DataError, match=r"sent \d+ bytes in 0 s, which is too slow"):
        fetch(target, dripping)
    fetch(target, dripping, mirror.serve("/good", body(CONTENT)))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", [status(404), body(CONTENT[::-1]), body(b"<html>")])
def test_a_lasting_fault_gets_no_second_try(mirror, target, fault):
    with pytest.raises(DataError):
        fetch(target, mirror.serve("/images.gz", fault, body(CONTENT)))
    assert mirror.requests == ["/images.gz"]


def test_a_passing_fault_is_tried_again_only_after_the_other_mirrors(mirror, target):
    busy, gone = mirror.serve("/busy", status(503)), mirror.serve("/gone", status(410))
    with pytest.raises(DataError) as caught:
        fetch(target, busy, gone)
    assert mirror.requests == ["/busy", "/gone", "/busy"]
    assert f"({busy}: 503 Service Unavailable; {gone}: 410 Gone)" in str(caught.value)


def test_no_mirror_at_all_is_told(target):
    with pytest.raises(DataError, match="no mirror is known"):
        fetch(target)


@pytest.mark.parametrize("label", ["gzip", "deflate", "x-gzip"])
def test_a_file_that_is_labelled_as_encoded_is_not_unpacked(mirror, target, label):
    fetch(target, mirror.serve("/images.gz", body(CONTENT, Content_Encoding=label, Content_Type="text/plain")))
    assert target.read_bytes() == CONTENT


def test_a_redirect_is_followed(mirror, target):
    mirror.serve("/good", body(CONTENT))
    fetch(target, mirror.serve("/moved", lambda handler: redirect(handler, "/good")))
    assert target.read_bytes() == CONTENT


def test_an_endless_body_is_left_after_the_expected_size(mirror, target):
    sent = []

    def endless(handler):
        body(b"", Content_Length=None)(handler)
        while not handler.server.closing.is_set():
            handler.wfile.write(bytes(1 << 16))
            sent.append(1 << 16)

    with pytest.raises(DataError, match="sent more than"):
        fetch(target, mirror.serve("/images.gz", endless))
    assert sum(sent) < SIZE + (64 << 20)  # no more than the buffers on the way hold


def test_a_full_disk_is_told_at_once_and_is_no_fault_of_the_mirror(mirror, target, monkeypatch):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(target, mirror.serve("/a", body(CONTENT)), mirror.serve("/b", body(CONTENT)))
    assert caught.value.filename == str(target)
    assert mirror.requests == ["/a"]
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_before_any_mirror_is_asked(mirror, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"images\.gz"):
        fetch(tmp_path / "file" / "images.gz", mirror.serve("/a", body(CONTENT)))
    assert mirror.requests == []


def test_ctrl_c_leaves_no_file(mirror, target, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download.tqdm, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(target, mirror.serve("/images.gz", body(CONTENT)), mirror.serve("/next", body(CONTENT)))
    assert mirror.requests == ["/images.gz"]
    assert list(target.parent.iterdir()) == []


def test_no_bar_is_drawn_where_nobody_looks(mirror, target, capfd):
    fetch(target, mirror.serve("/images.gz", body(CONTENT)))
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_drawn_on_a_terminal(mirror, target, monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(target, mirror.serve("/images.gz", slow(CONTENT, 0.3)))
    assert "images.gz" in capfd.readouterr().err


def in_another_process(path, url):
    code = (
        "import sys; from pathlib import Path; from dataset.download import download\n"
        "path, url, size, sha256 = sys.argv[1:]\n"
        "download(Path(path), [url], size=int(size), sha256=sha256)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), url, str(SIZE), SHA256], cwd=ROOT, stderr=subprocess.PIPE
    )


def until_half_way(folder):
    """Wait until a download into `folder` has begun; return its unfinished files."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if unfinished := [path for path in folder.glob(".*.part") if path.stat().st_size]:
            return unfinished
        time.sleep(0.005)
    raise AssertionError("no download has begun within 10 s")


@pytest.mark.skipif(os.name == "nt", reason="these are signals of POSIX")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_download_that_is_killed_leaves_the_old_file_whole(mirror, target, signal_number):
    target.write_bytes(b"old")
    process = in_another_process(target, mirror.serve("/images.gz", stall(CONTENT[:150_000], SIZE)))
    unfinished = until_half_way(target.parent)
    process.send_signal(signal_number)
    assert process.wait(10) != 0
    process.stderr.close()
    assert target.read_bytes() == b"old"
    assert [path.exists() for path in unfinished] == [signal_number == signal.SIGKILL]


def test_many_processes_at_once_end_with_one_good_file(mirror, target):
    url = mirror.serve("/images.gz", slow(CONTENT, 0.5))
    processes = [in_another_process(target, url) for _ in range(4)]
    outcomes = [(process.communicate(timeout=20)[1], process.returncode) for process in processes]
    assert outcomes == [(b"", 0)] * 4
    assert len(mirror.requests) == 4
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_mirror_error_says_whether_it_may_pass():
    assert MirrorError("cut off", passing=True).passing
    assert not MirrorError("404").passing
