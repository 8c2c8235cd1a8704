"""The `anchored` command: its arguments, and the one place where errors become words and codes."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from anchored import __version__
from anchored.cli.interruption import interruptible
from anchored.decisions.redaction import redact, secret_values
from anchored.display.shown import shown_lines, shown_output
from anchored.errors import (
    RESUME,
    AnchoredError,
    BadParam,
    DiskFull,
    ServiceFailed,
    TrainingFailed,
)
from anchored.tracker_names import KNOWN

INTERRUPTED, OUR_BUG = 130, 70
OPENING = {"run", "resume", "reproduce", "retrain"}  # commands that open runs


class _Parser(argparse.ArgumentParser):
    """argparse with our form of an error: one line that names the thing, one with the way out."""

    def error(self, message: str) -> NoReturn:
        _write(f"error: {message}\nhint: see `{self.prog} --help`")
        raise SystemExit(2)


def parser() -> _Parser:
    """All commands and options. Each command is a module of its own, loaded when it is called."""
    common = _Parser(add_help=False)
    options = common.add_argument_group("everywhere")
    options.add_argument(
        "--repo",
        metavar="PATH_OR_URL",
        default=argparse.SUPPRESS,
        help="the training repo (default: the Git repository around here, or ANCHORED_REPO)",
    )
    options.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout"
    )
    options.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="tracebacks with errors"
    )
    top = _Parser(
        prog="anchored",
        description="Every training run a fact that can be checked again.",
        parents=[common],
    )
    top.add_argument("--version", action="version", version=f"anchored {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def command(name: str, text: str, *options: _Parser) -> _Parser:
        return commands.add_parser(name, help=text, description=text, parents=[common, *options])

    tracker = _tracker_option()

    init = command("init", "Make a repository ready: DVC, its remote, an anchored.toml.")
    init.add_argument("--remote", metavar="URL", help="the DVC remote to keep data and models in")
    init.add_argument(
        "--untrack",
        action="store_true",
        help="take inputs and model out of Git's index, so that DVC can hold them; files stay",
    )
    run = command("run", "Train, version and seal one run.")
    _ask_for_run(run)
    resume = command("resume", "Finish runs that were cut off.", tracker)
    resume.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="one run, by its id, an id prefix of 6 or more hex digits, or its name; default: all",
    )
    listing = command("list", "List the experiment's runs, newest first.", tracker)
    listing.add_argument("-n", dest="limit", type=_count, metavar="N", help="at most N runs")
    show = command("show", "Show one run's whole lineage.", tracker)
    _name_run(show)
    diff = command(
        "diff", "Show what differs between two runs: data, code, params, metrics.", tracker
    )
    diff.add_argument("run", metavar="RUN", help="the first run")
    diff.add_argument("other", metavar="RUN", help="the second run")
    diff.add_argument("--latest", action="store_true", help="the newest of several runs of a name")
    diff.add_argument("--patch", action="store_true", help="the changed lines of code, too")
    restore = command("restore", "Bring back a run's data and model, every byte hashed.", tracker)
    _name_run(restore)
    restore.add_argument("--to", metavar="DIR", help="where (default: restored/NAME)")
    reproduce = command(
        "reproduce", "Run a past run again and say whether its result still holds.", tracker
    )
    _name_run(reproduce)
    reproduce.add_argument(
        "--tolerance",
        dest="tolerances",
        action="append",
        default=[],
        metavar="METRIC=NUMBER",
        help="how far a metric may be off: 0.01, or 1%% of what was recorded; may be repeated",
    )
    reproduce.add_argument(
        "--environment",
        choices=("current", "recorded"),
        default="current",
        help="train in today's environment, or in one built from the recorded packages",
    )
    reproduce.add_argument(
        "--repeat",
        type=_count,
        default=1,
        metavar="N",
        help="train N times, and judge by how far these are apart from each other",
    )
    reproduce.add_argument(
        "--trust-tracker",
        action="store_true",
        help="execute what the tracker says where the run's commit does not record it",
    )
    audit = command("audit", "Check that every run can still be reproduced.", tracker)
    audit.add_argument("--deep", action="store_true", help="hash every byte in the remote, too")
    retrain = command("retrain", "Bring new data, train if anything changed, promote if better.")
    retrain.add_argument("--name", dest="name", metavar="NAME", help="the run's name")
    retrain.add_argument(
        "--pull",
        action="store_true",
        help="bring the newest data into the folder afterwards; data of yours is left",
    )
    promote = command("promote", "Register a run's model under an alias.", tracker)
    _name_run(promote)
    promote.add_argument(
        "--alias", default="champion", metavar="ALIAS", help="the alias (default: champion)"
    )
    command("up", "Start Prefect, the tracker's pages and the deployments in the background.")
    command("down", "Stop what `up` started; all data stays.")
    command("status", "Say what of the local stack runs, and where.")
    demo = command("demo", "The sample training repo on real data, and the whole story on it.")
    demo.add_argument("folder", nargs="?", metavar="DIR", help="where (default: anchored-demo)")
    return top


def _ask_for_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("name", nargs="?", metavar="NAME", help="the run's name")
    run.add_argument(
        "-p",
        dest="params",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter on top of [train.params]; may be repeated",
    )
    run.add_argument(
        "--snapshot",
        action="store_true",
        help="pin uncommitted changes to this run alone; the branch is not moved",
    )
    run.add_argument(
        "--data-from-folder",
        action="store_true",
        help="take the inputs in the folder even where they are earlier versions than the branch's",
    )


def _name_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "run",
        metavar="RUN",
        help="@alias, `latest`, a run id, an id prefix of 6 or more hex digits, or a run name",
    )
    command.add_argument(
        "--latest", action="store_true", help="the newest of several runs of that name"
    )


def _tracker_option() -> _Parser:
    option = _Parser(add_help=False)
    option.add_argument(
        "--tracker",
        choices=tuple(KNOWN),
        metavar="KIND",
        help=f"{' or '.join(KNOWN)}, in place of the configured one: for runs from before a change",
    )
    return option


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code as in the public interface."""
    arguments = parser().parse_args(argv)
    if arguments.command is None:
        parser().print_help()
        return 0
    interruptible(lambda: _interrupted(arguments))
    try:
        module = importlib.import_module(f"anchored.cli.{arguments.command}_command")
        code: int = module.run(arguments)
        sys.stdout.flush()
    except AnchoredError as error:
        return _said(error, arguments)
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except Exception as error:
        return _unexpected(error, arguments)
    return code


def run_and_exit() -> NoReturn:
    """Runs the command of this process and ends it, without taking the interpreter apart.

    Freeing the modules of Prefect and MLflow one by one takes a third of a second; what has to be
    done at the end is done, and the operating system has the rest back at once.
    """
    # Importing makes a hundred thousand objects and no garbage; looking for some takes a tenth.
    gc.set_threshold(300_000, 20, 50)
    code = main()
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python itself calls at this point
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def params_of(pairs: Sequence[str]) -> dict[str, str]:
    """The `-p KEY=VALUE`s as a mapping. Raises `BadParam` for one without `=`."""
    params = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadParam(f"-p {pair!r} is not KEY=VALUE")
        params[name] = value
    return params


def _said(error: AnchoredError, arguments: argparse.Namespace) -> int:
    _show_traceback(error, arguments)
    if isinstance(error, TrainingFailed) and error.tail:
        _write("last lines of its output:")
        for line in error.tail[-15:]:
            _write(f"  {shown_output(line)}")
    _write(f"error: {error.message}")
    if isinstance(error.__context__, AnchoredError) and error.__context__ is not error.__cause__:
        # Recording a failure failed in turn: the first one is what the user has to mend.
        _write(f"before that: {error.__context__.message}")
    if isinstance(error, ServiceFailed) and _left_something(arguments):
        error.offer_resume()
    if error.hint:
        _write(f"hint: {error.hint}")
    return error.exit_code


def _unexpected(error: Exception, arguments: argparse.Namespace) -> int:
    if DiskFull.is_meant_by(error):
        return _said(DiskFull(str(error)), arguments)
    _show_traceback(error, arguments)
    said = " ".join(f"{type(error).__name__}: {error}".split())
    _write(
        f"error: {redact(said, secret_values(os.environ))[:1_000]}\n"
        f"hint: this is a bug in Anchored {__version__}; please report it in the project's issue "
        "tracker, with this line and what the same command prints with --debug"
    )
    return OUR_BUG


def _show_traceback(error: Exception, arguments: argparse.Namespace) -> None:
    if getattr(arguments, "debug", False):
        lines = "".join(traceback.format_exception(error))
        _write(redact(lines, secret_values(os.environ)).rstrip())


def _write(text: str) -> None:
    """The one door of this module to the terminal."""
    sys.stderr.write(f"{shown_lines(text)}\n")


def _interrupted(arguments: argparse.Namespace) -> int:
    sys.stderr.write("error: interrupted\n")
    if _left_something(arguments):
        sys.stderr.write(f"hint: {RESUME}\n")
    return INTERRUPTED


def _left_something(arguments: argparse.Namespace) -> bool:
    """Whether the command opens runs, and some were begun here that nobody works on any more."""
    if arguments.command not in OPENING:
        return False
    with suppress(Exception):
        from anchored.journal import Journals
        from anchored.workspace.repos import folder_of

        journals = Journals(folder_of(getattr(arguments, "repo", None)))
        return any(journals.claim(seen.key) for seen in journals.all())
    return False


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
