import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from withstand.data import download
from withstand.data.download import check_sha256, fetch
from withstand.errors import InputError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A server on this machine that gives one answer after the other, the last one again and again."""

    def __init__(self):
        self.answers, self.asked = [], []
        self.done = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.bin"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.done.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def send(self, content=CONTENT, *, code=200, announced=None, **headers):
        def answer(handler):
            handler.send_response(code)
            handler.send_header("Content-Length", str(len(content) if announced is None else announced))
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(content)

        return answer

    def stall(self):
        def answer(handler):
            self.send(CONTENT[:1000], announced=len(CONTENT))(handler)
            handler.wfile.flush()
            self.done.wait(10)

        return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(download, "SILENCE", 0.3)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("WITHSTAND_OFFLINE", raising=False)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "file.bin"


def fails(server, path, match, *, sha256=SHA256, tries):
    with pytest.raises(InputError, match=match) as raised:
        fetch(server.url, path, sha256=sha256)
    assert server.url in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(path.parent.iterdir()) == []
    assert len(server.asked) == tries


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_file_arrives_whole_and_alone(server, path, sha256):
    server.answers = [server.send()]
    fetch(server.url, path, sha256=sha256)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert server.asked == ["/file.bin"]


def test_an_older_file_is_replaced(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    server.answers = [server.send()]
    fetch(server.url, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, path, code):
    server.answers = [server.send(b"busy", code=code), server.send(CONTENT[:9], announced=len(CONTENT)), server.send()]
    fetch(server.url, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_given_up(server, path):
    server.answers = [server.send(b"", code=503)]
    fails(server, path, r"could not be fetched: the server answered 503 Service Unavailable\.$", tries=3)


@pytest.mark.parametrize("code", [403, 404])
def test_a_refusal_is_final(server, path, code):
    server.answers = [server.send(b"no", code=code)]
    fails(server, path, rf"could not be fetched: the server answered {code} ", tries=1)


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_half_a_file_is_none(server, path, sha256):
    server.answers = [server.send(CONTENT[:1000], announced=len(CONTENT))]
    fails(server, path, r"it ended after 1,000 of 256,000 bytes\.$", sha256=sha256, tries=3)


def test_silence_ends_a_try(server, path):
    server.answers = [server.stall()]
    start = time.monotonic()
    fails(server, path, r"could not be fetched: nothing came for 0\.3 seconds\.$", tries=3)
    assert time.monotonic() - start < 5


def test_a_page_in_place_of_the_file_is_refused(server, path):
    page = b"<html>Please log in</html>"
    server.answers = [server.send(page)]
    found = hashlib.sha256(page).hexdigest()
    fails(server, path, rf"its sha256 must be {SHA256}, got {found} for 26 bytes\.$", tries=1)


def test_a_wrong_file_leaves_the_older_one(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    server.answers = [server.send(CONTENT[1:])]
    with pytest.raises(InputError, match="was not the expected file"):
        fetch(server.url, path, sha256=SHA256)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_port_where_nobody_listens_is_reported(server, path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
    with pytest.raises(InputError, match=r"could not be fetched: Connection refused\.$"):
        fetch(url, path, sha256=None)
    assert list(path.parent.iterdir()) == []


def test_a_redirect_on_this_machine_is_followed(server, path):
    server.answers = [server.send(b"", code=302, Location="/other.bin"), server.send()]
    fetch(server.url, path, sha256=SHA256)
    assert server.asked == ["/file.bin", "/other.bin"]


@pytest.mark.parametrize("target", ["http://example.org/file.bin", "ftp://example.org/file.bin"])
def test_a_redirect_to_an_unsafe_address_is_not_followed(server, path, target):
    server.answers = [server.send(b"", code=301, Location=target)]
    fails(server, path, rf"redirects to {target}, which is not an https address\.$", tries=1)


def test_a_redirect_from_https_to_http_is_refused_even_on_this_machine():
    with pytest.raises(InputError, match="is not an https address"):
        download._check_address("https://example.org/a", "http://localhost/a")


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "example.org/a"])
def test_addresses_without_https_are_refused(url, path, monkeypatch):
    monkeypatch.delenv("WITHSTAND_OFFLINE", raising=False)
    with pytest.raises(InputError, match=f"^download: {url} is not an https address"):
        fetch(url, path, sha256=None)
    assert not path.parent.exists()


def test_offline_nothing_is_asked(server, path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    with pytest.raises(InputError, match=r"was not fetched, since WITHSTAND_OFFLINE disables downloads\.$"):
        fetch(server.url, path, sha256=None)
    assert server.asked == []


def test_a_place_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").touch()
    server.answers = [server.send()]
    with pytest.raises(InputError, match=r"cannot be saved as \S+file\.bin: "):
        fetch(server.url, tmp_path / "file" / "file.bin", sha256=None)
    assert server.asked == []


def test_the_checksum_of_a_file_is_compared(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    check_sha256("test", tmp_path / "a", SHA256)
    with pytest.raises(InputError, match=r"^test: \S+ is not the published file: its sha256 must be 0, got "):
        check_sha256("test", tmp_path / "a", "0")
    with pytest.raises(InputError, match=r"^test: \S+ cannot be read: "):
        check_sha256("test", tmp_path / "b", SHA256)


def test_a_file_that_is_announced_as_too_large_is_not_read(server, tmp_path):
    server.answers = [server.send(b"", announced=10**13)]
    with pytest.raises(InputError, match="at most"):
        fetch(server.url, tmp_path / "file.bin", sha256=None)
    assert not list(tmp_path.iterdir())


def test_a_download_without_end_stops_at_the_largest_size(server, tmp_path):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while not server.done.is_set():
                handler.wfile.write(CONTENT)
        except OSError:
            pass

    server.answers = [endless]
    with pytest.raises(InputError, match="at most"):
        fetch(server.url, tmp_path / "file.bin", sha256=None, most=10 * len(CONTENT))
    assert not list(tmp_path.iterdir())


def test_a_trickling_download_is_given_up(server, tmp_path, monkeypatch):
    def trickle(handler):
        server.send(b"x", announced=len(CONTENT))(handler)
        try:
            while not server.done.wait(0.02):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass

    monkeypatch.setattr(download, "WAITS", ())
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    server.answers = [trickle]
    with pytest.raises(InputError, match="bytes came in"):
        fetch(server.url, tmp_path / "file.bin", sha256=None)
    assert not list(tmp_path.iterdir())
