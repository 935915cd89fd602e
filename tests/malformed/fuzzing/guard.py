"""An audit hook that detects code, processes, connections and writes that an input must not cause."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

RUNNERS = ("os", "posix", "nt", "subprocess", "sys", "importlib", "runpy", "shutil", "pty", "socket", "ctypes")
BUILTINS = ("exec", "eval", "compile", "__import__", "open", "getattr", "breakpoint")
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "webbrowser.open")
# Places of paths among the arguments of an event, each with the place of its folder's file descriptor.
CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "shutil.rmtree": ((0, 1),),
}
HARMLESS = ("uname",)  # what the standard library's `platform` starts
MOST_FORKS = 16
WORKERS = os.path.realpath(tempfile.gettempdir()) + "/pymp-"  # multiprocessing's own folders, private to the user
LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0")


class Forbidden(BaseException):
    """Raised instead of a forbidden event; not an Exception, so that error handlers do not catch it."""


class Guard:
    """Fails an input on the first forbidden event; it is installed once, and armed in the process of an input."""

    def __init__(self) -> None:
        """Install the hook, which does nothing until it is armed."""
        self.root: str | None = None
        self.report = -1
        self.forks = 0
        sys.addaudithook(self._hook)

    def arm(self, root: Path, report: int) -> None:
        """Begin to watch: writes are allowed below `root` alone; events are written to the file descriptor `report`."""
        self.root, self.report = os.path.realpath(root), report

    def disarm(self) -> None:
        """Stop watching."""
        self.root = None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.root is None:
            return
        if event == "open":
            self._opened(*args)
        elif event in CHANGES:
            for path, folder in CHANGES[event]:
                own = args[folder] if folder is not None and folder < len(args) else -1
                self._changed(event, args[path], own if isinstance(own, int) else -1)
        elif event in PROCESSES:
            if event != "subprocess.Popen" or args[0] not in HARMLESS:
                self._fail(event, args[0] if args else "")
        elif event == "os.fork":
            self.forks += 1
            if self.forks > MOST_FORKS:
                self._fail("more processes than an input needs", self.forks)
        elif event in ("exec", "compile"):
            self._ran(event, args)
        elif event == "pickle.find_class":
            module, name = args
            if str(module).partition(".")[0] in RUNNERS or (module == "builtins" and name in BUILTINS):
                self._fail(event, f"{module}.{name}")
        elif event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            address = args[1] if event == "socket.connect" else args[0]
            host = address[0] if isinstance(address, tuple) else address
            is_local = event == "socket.connect" and isinstance(address, str | bytes)
            if not is_local and host not in LOCAL:
                self._fail(event, host)

    def _opened(self, path: Any, mode: Any, flags: int) -> None:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if writes and isinstance(path, str | bytes | os.PathLike):
            self._changed("open", path, -1)

    def _changed(self, event: str, path: Any, folder: int) -> None:
        if isinstance(path, int):
            return
        place = os.fsdecode(path)
        if folder >= 0 and not place.startswith("/"):
            place = f"/proc/self/fd/{folder}/{place}"
        # A link is removed or replaced itself; what is opened is where it leads.
        head, _, name = place.rpartition("/")
        follows = event in ("open", "os.truncate", "os.chmod")
        whole = (
            os.path.realpath(place) if follows else f"{os.path.realpath(head or ('/' if '/' in place else '.'))}/{name}"
        )
        if not f"{whole}/".startswith((f"{self.root}/", WORKERS, "/dev/null/", "/dev/shm/", "/proc/self/")):
            self._fail(event, whole)

    def _ran(self, event: str, args: tuple[Any, ...]) -> None:
        code = args[0]
        text = code if isinstance(code, str) else code.decode("latin1") if isinstance(code, bytes) else ""
        name = str(getattr(code, "co_filename", args[1] if len(args) > 1 else ""))
        is_own = name in ("<input>", "<unknown>")  # code of the suite, and what `ast.parse` reads without running it
        if not is_own and ("executed" in text[:5000] or name.startswith(f"{self.root}/")):
            self._fail(event, name)

    def _fail(self, event: str, what: Any) -> None:
        root, self.root = self.root, None
        os.write(self.report, json.dumps({"event": event, "what": str(what)[:300]}).encode() + b"\n")
        self.root = root
        raise Forbidden(f"{event}: {what}")
