"""Atomic, checksum-verified downloads."""

import hashlib
import os
import socket
import ssl
import time
import urllib.request
import uuid
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from withstand.errors import InputError

WAITS = (1.0, 4.0)  # seconds before the second and the third attempt
SILENCE = 20.0  # seconds without data until an attempt times out
SLOWEST, PATIENCE = 1000.0, 30.0  # bytes per second on average, after as many seconds
MOST_BYTES = 1 << 32
TRANSIENT = (408, 429, 500, 502, 503, 504)  # status codes worth a retry
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def fetch(url: str, path: Path, *, sha256: str | None, most: int = MOST_BYTES) -> None:
    """Download a file over https, verify its checksum, and move it to its path atomically.

    Transient errors (timeouts, broken connections, a busy server) are retried twice. `WITHSTAND_OFFLINE=1` in the
    environment disables downloads.

    Args:
        url: Address of the file; only https is followed, and http to this machine.
        path: Target; missing folders are created, an existing file is replaced.
        sha256: Checksum in hexadecimal digits; None skips the check.
        most: Largest size in bytes.

    Raises:
        InputError: If the file cannot be downloaded or written, has another checksum, is too large or comes too
            slowly; nothing is left behind.
    """
    if is_offline():
        raise InputError(f"download: {url} was not fetched, since WITHSTAND_OFFLINE disables downloads.")
    _check_address(url, url)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            found = _read_with_retries(url, path, file, most)
        if sha256 is not None and found != sha256:
            raise InputError(
                f"download: {url} was not the expected file: its sha256 must be {sha256}, got {found} for "
                f"{part.stat().st_size:,} bytes."
            )
        part.replace(path)
    except OSError as error:
        raise _unwritable(url, path, error) from error
    finally:
        with suppress(OSError):
            part.unlink()


def is_offline() -> bool:
    """Return whether `WITHSTAND_OFFLINE` disables downloads."""
    return os.environ.get("WITHSTAND_OFFLINE", "0") not in ("", "0")


def check_sha256(who: str, path: Path, sha256: str) -> None:
    """Reject a file whose content differs from the expected one.

    Raises:
        InputError: If the checksum differs, or the file cannot be read.
    """
    try:
        if not path.is_file():
            raise OSError("it is not a file")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{who}: {path} cannot be read: {error.strerror or error}.") from error
    if found != sha256:
        raise InputError(
            f"{who}: {path} is not the published file: its sha256 must be {sha256}, got {found}; remove or replace it."
        )


def _read_with_retries(url: str, path: Path, file: BinaryIO, most: int) -> str:
    for wait in (*WAITS, None):
        file.seek(0)
        file.truncate()
        try:
            return _read(url, path, file, most)
        except (OSError, HTTPException) as error:
            reason, may_pass = _explain(error)
            if isinstance(error, HTTPError):
                error.close()
            if wait is None or not may_pass:
                raise InputError(f"download: {url} could not be fetched: {reason}.") from error
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _read(url: str, path: Path, file: BinaryIO, most: int) -> str:
    digest, size, start = hashlib.sha256(), 0, time.monotonic()
    request = urllib.request.Request(url, headers={"User-Agent": "withstand"})
    with urllib.request.build_opener(_SafeRedirects).open(request, timeout=SILENCE) as answer:
        length = answer.headers.get("Content-Length", "")[:20]
        announced = int(length) if length.isdecimal() else None
        _check_size(url, announced or 0, most)
        while block := answer.read1(1 << 16):
            _check_size(url, size + len(block), most)
            if (seconds := time.monotonic() - start) > PATIENCE and size < SLOWEST * seconds:
                raise ConnectionError(f"only {size:,} bytes came in {seconds:.0f} seconds")
            try:
                file.write(block)
            except OSError as error:
                raise _unwritable(url, path, error) from error
            digest.update(block)
            size += len(block)
    if announced is not None and size != announced:
        raise ConnectionError(f"it ended after {size:,} of {announced:,} bytes")
    return digest.hexdigest()


def _check_size(url: str, size: int, most: int) -> None:
    if size > most:
        raise InputError(f"download: {url} must have at most {most:,} bytes, got more.")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        try:
            _check_address(req.full_url, newurl)
        except InputError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str, target: str) -> None:
    old, new = urlsplit(url), urlsplit(target)
    on_this_machine = new.scheme == "http" and new.hostname in THIS_MACHINE and old.scheme == "http"
    if new.scheme != "https" and not on_this_machine:
        redirect = "" if target == url else f" redirects to {target}, which"
        raise InputError(f"download: {url}{redirect} is not an https address.")


def _unwritable(url: str, path: Path, error: OSError) -> InputError:
    return InputError(f"download: {url} cannot be saved as {path}: {error.strerror or error}.")


def _explain(error: Exception) -> tuple[str, bool]:
    """Return the reason of a failure, and whether a retry may help."""
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}".rstrip(), error.code in TRANSIENT
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"nothing came for {SILENCE:g} seconds", True
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message})", False
    unknown_host = isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN
    words = (isinstance(reason, OSError) and reason.strerror) or str(reason) or type(reason).__name__
    return words.partition("\n")[0].rstrip("."), not unknown_host
