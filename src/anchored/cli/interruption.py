"""Ctrl-C, and the other signals by which a command is ended.

The first raises `KeyboardInterrupt`: what is under way is closed, or left for `anchored resume`.
Once no run is ours any more, all that is left is Prefect, whose server may be dead or hanging: it
is waited for a moment and no longer. The second signal ends the command and all that it started at
once, which is safe at any moment.

Prefect puts a handler of its own in place of ours while a flow runs; a signal is therefore counted
by a thread that Python writes its number to, whatever handler it has.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

FAREWELL = 3.0  # seconds for Prefect, once no run is ours any more
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR = "\x1b[?25h"


def interruptible(leave: Callable[[], int]) -> None:
    """Makes the signals that end a command do so; those that are ignored stay so.

    `leave` says that the command was interrupted, and returns its exit code.
    """
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def interrupt(number: int, _frame: object) -> NoReturn:
        if number == signal.SIGHUP:
            _fall_silent(terminals)
        raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, interrupt)

    def listen() -> None:
        _next(hears, heard)
        threading.Thread(target=_leave_soon, args=[leave], daemon=True).start()
        _next(hears, heard)
        _leave(leave)

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _next(hears: int, heard: list[signal.Signals]) -> None:
    """Returns when one of the signals has come."""
    while os.read(hears, 1)[0] not in heard:
        pass


def _leave_soon(leave: Callable[[], int]) -> None:
    from anchored.journal import owns_any

    while owns_any():
        time.sleep(0.05)
    time.sleep(FAREWELL)
    _leave(leave)


def _leave(leave: Callable[[], int]) -> NoReturn:
    from anchored.system.process import end_descendants

    end_descendants()
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)  # a line of progress may have hidden it
    code = leave()
    sys.stderr.flush()
    os._exit(code)


def _fall_silent(terminals: list[int]) -> None:
    """Whoever writes to a terminal that was closed gets an error, in the midst of closing a run."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in terminals:
        os.dup2(nowhere, stream)
