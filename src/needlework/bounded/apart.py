"""What lives in a child process and answers there, request by request, within limits."""

import json
import os
import resource
import signal
import struct
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from types import TracebackType

from needlework import errors
from needlework.bounded.limits import Limits, heard, resident_megabytes
from needlework.errors import NeedleworkError

_SIZE = struct.Struct("<Q")
_REQUEST = struct.Struct("<dQ")
"""Seconds for it, and its size."""
_RESULT, _REFUSED = b"=", b"!"
_DIED = ""
"""The kind of an error of a library that does not go on after it."""


class Apart:
    """What a stranger's file becomes, kept in a child process that is asked within limits.

    The child ends with this object, and with this process however that ends. It holds no file,
    lock or terminal of ours, and a fork of this process makes a child of its own.
    """

    def __init__(
        self, make: Callable[[], Callable[[bytes], bytes]], *, what: str, limits: Limits
    ) -> None:
        """Let a child make what answers requests.

        Raises:
            LimitError: that needs more.
            NeedleworkError: `make` raised one, or the child died of the file.
        """
        self._make, self._what, self._limits = make, what, limits
        self._turn = threading.Lock()
        self._begin()

    def ask(self, request: bytes, *, what: str, limits: Limits) -> bytes:
        """The answer to a request.

        Raises:
            LimitError: it needs more.
            TimeoutError: it has set itself a limit of processor time, and reached it.
            NeedleworkError: what answers raised one, or died of the request.
        """
        with self._turn:
            if self._owner != os.getpid() or not self._end.alive:
                self._begin()
            return self._heard(what, limits.here(), request)

    def end(self) -> None:
        """End the child; who asks again begins another."""
        self._end()

    def _begin(self) -> None:
        limits = self._limits.here()
        (asked, ask), (hear, heard) = os.pipe(), os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._owner, child = os.getpid(), os.fork()
        if not child:
            _answer(self._make, asked, heard, limits)
        os.close(asked)
        os.close(heard)
        self._child, self._ask, self._hear = child, ask, hear
        self._end = weakref.finalize(self, _end, child, (ask, hear), self._owner)
        self._before = resident_megabytes(child)
        self._heard(self._what, limits)

    def _heard(self, what: str, limits: Limits, request: bytes | None = None) -> bytes:
        """What the child says, to a request or when it has begun; it does not outlive an error."""
        told, status = b"", 0
        try:
            if request is not None:
                _send(self._ask, _REQUEST.pack(limits.seconds, len(request)) + request)
            told = self._awaited(what, limits)
        except BrokenPipeError:
            pass
        finally:
            if told[:1] != _RESULT:
                status = self._end() or 0
        if told[:1] == _RESULT:
            return told[1:]
        if status == signal.SIGXCPU:
            raise TimeoutError(what)
        kind, content = json.loads(told[1:]) if told else (_DIED, "the process ended")
        if kind == _DIED:
            raise errors.ResourceError(
                f"{what}: the library that reads it dies of it ({content}); get the file again, or "
                "do without"
            )
        if kind in vars(errors):
            raise getattr(errors, kind)(content)
        if kind in (MemoryError.__name__, RecursionError.__name__):
            raise limits.out_of_memory(what)
        raise RuntimeError(f"{what}: {kind} in a child process\n{content}")

    def _awaited(self, what: str, limits: Limits) -> bytes:
        """The next message of the child; empty where it has died."""
        found, size = bytearray(), _SIZE.size
        for piece in heard(self._child, self._hear, what=what, limits=limits, before=self._before):
            found += piece
            if size == _SIZE.size <= len(found):
                size += _SIZE.unpack_from(found)[0]
                limits.check_answer(what, size)
            if len(found) == size:
                return bytes(memoryview(found)[_SIZE.size :])
        return b""


def _send(file: int, message: bytes) -> None:
    left = memoryview(message)
    while left:
        left = left[os.write(file, left) :]


def _end(child: int, files: tuple[int, ...], owner: int) -> int:
    """End a child of this process, and how it ended; a fork only closes what it has inherited."""
    for file in files:
        os.close(file)
    if owner != os.getpid():
        return 0
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _answer(
    make: Callable[[], Callable[[bytes], bytes]], asked: int, heard: int, limits: Limits
) -> None:
    """The child: it answers until nobody is left who asks.

    A timer of the system ends it that outlived its parent in the middle of something endless.
    """
    status = 1
    try:
        _keep_only(asked, heard)
        told = _Told()
        with told, _Timer(limits.seconds):
            answers = make()
        with os.fdopen(asked, "rb") as requests:
            while True:
                _send(heard, _SIZE.pack(len(told.content)) + told.content)
                head = requests.read(_REQUEST.size)
                if len(head) < _REQUEST.size:
                    break
                seconds, size = _REQUEST.unpack(head)
                told = _Told()
                with told, _Timer(seconds):
                    told.content = _RESULT + answers(requests.read(size))
        status = 0
    finally:
        os._exit(status)


class _Timer:
    """The system's signal for a process that has taken too long, which it cannot but obey."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._seconds + 1)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Told:
    """What a child says of what was done within; also a library of Rust that panics is told."""

    content = _RESULT

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if kind is not None and error is not None:
            dies = not isinstance(error, Exception)
            short = dies or isinstance(error, NeedleworkError | MemoryError)
            text = str(error) if short else "".join(traceback.format_exception(error))
            told = [_DIED if dies else kind.__name__, text]
            self.content = _REFUSED + json.dumps(told).encode()
        return True


def _keep_only(*files: int) -> None:
    """Let go of everything that a child has from its parent but these files, signals included."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    low, high = sorted(files)
    last = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20)
    for begin, end in ((3, low), (low + 1, high), (high + 1, last)):
        os.closerange(begin, end)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
