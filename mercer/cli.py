"""`mercer`: the service from a shell.

Exit codes: 0 done; 1 the job failed, or no such thing; 2 mend the command or the data; 3 no service; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from mercer import batch_commands, commands, key_commands, private_commands, spec_commands, webhook_commands
from mercer.client import Client
from mercer.errors import ConnectionFailed, MercerError, Unavailable
from mercer.jobs import Priority, State
from mercer.keys import Scope
from mercer.plots import PlotsNotInstalled
from mercer.privacy.terms import Neighbours
from mercer.specs import KINDS

DONE, REFUSED, WRONG_USAGE, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 130
MEND_THE_COMMAND = frozenset({400, 401, 403, 413, 415, 422})
"""Statuses of errors that the same command would meet again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        text = _run(arguments)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except commands.Interrupted as interrupted:
        return _complain(str(interrupted), INTERRUPTED)
    except (ConnectionFailed, Unavailable) as error:
        return _complain(one_line(error), NO_SERVICE)
    except (MercerError, ValidationError, OSError, ValueError, PlotsNotInstalled) as error:
        return _complain(one_line(error), _code(error))
    if text:
        _print(text)
    return DONE


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough; nothing more can be flushed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: argparse.Namespace) -> str:
    if arguments.command is commands.kernels:
        return commands.kernels(arguments)
    with Client(arguments.url) as client:
        return str(arguments.command(client, arguments))


def _code(error: Exception) -> int:
    elsewhere = isinstance(error, MercerError) and error.status not in MEND_THE_COMMAND
    return REFUSED if elsewhere else WRONG_USAGE


def _complain(sentence: str, code: int) -> int:
    print(f"mercer: {sentence}", file=sys.stderr)
    return code


def one_line(error: Exception) -> str:
    """What is wrong and where, without a traceback."""
    if isinstance(error, ValidationError):
        faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_input=False)]
        return "; ".join(f"{where}: {what}" if where else what for where, what in faults)
    if isinstance(error, MercerError):
        fields = "; ".join(f"{field.pointer}: {field.detail}" for field in error.errors)
        return f"{error.detail} {fields}".rstrip()
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    root = argparse.ArgumentParser(
        prog="mercer",
        description="Kernel computation as a service.",
        epilog="MERCER_API_KEY is the key that is sent to a service that asks for one.",
    )
    root.set_defaults(url=None, json=False, output=None, plot=None)
    commands_of = root.add_subparsers(required=True, metavar="COMMAND")
    _add_kinds(commands_of)
    _add_job_commands(commands_of)
    _add_batch(commands_of)
    _add_datasets(commands_of)
    _add_private(commands_of)
    _add_keys(commands_of)
    _add_webhooks(commands_of)
    kernels = commands_of.add_parser("kernels", help="the kernel functions and their formulas")
    kernels.add_argument("--json", action="store_true", help="their JSON schemas")
    kernels.set_defaults(command=commands.kernels)
    return root


def _common(json_help: str | None = None) -> argparse.ArgumentParser:
    # SUPPRESS: a command within a command would otherwise undo with its default what stood before it.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--url", help="where the service is (default: MERCER_URL, else http://127.0.0.1:8000)")
    if json_help:
        common.add_argument("--json", action="store_true", help=json_help)
    return common


def _add_kinds(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """A command for each kind of job."""
    for kind, spec in KINDS.items():
        about = (spec.__doc__ or "").splitlines()[0]
        parents = [_common("print the job's record")]
        command = commands_of.add_parser(kind.replace("_", "-"), parents=parents, help=about, description=about)
        spec_commands.add(command, spec)
        _add_outputs(command)
        _add_options(command)
        command.set_defaults(command=commands.run, kind=kind)


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cancel-after", metavar="TIME", help="stop what has not ended then: such as 30s, 10m or 2h")
    command.add_argument("--priority", choices=[priority.value for priority in Priority], help="which jobs go first")


def _add_outputs(command: argparse.ArgumentParser, *, required: bool = False) -> None:
    command.add_argument("-o", "--output", type=Path, required=required, help="save the result as .npy")
    command.add_argument("--plot", type=Path, help="save a picture, such as K.png (needs matplotlib)")


def _add_job_commands(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    jobs = commands_of.add_parser("jobs", parents=[_common("print the records")], help="list jobs, the newest first")
    jobs.add_argument("--state", choices=[state.value for state in State])
    jobs.add_argument("--limit", type=int, default=20)
    jobs.set_defaults(command=commands.jobs)
    show = commands_of.add_parser("show", parents=[_common("print the record")], help="show a job")
    show.add_argument("id")
    show.add_argument("--wait", action="store_true", help="until it has finished")
    show.set_defaults(command=commands.show)
    cancel = commands_of.add_parser("cancel", parents=[_common()], help="stop jobs")
    cancel.add_argument("id", nargs="+")
    cancel.set_defaults(command=commands.cancel)
    _add_dead(commands_of)
    result = commands_of.add_parser("result", parents=[_common()], help="save the result of a job")
    result.add_argument("id")
    _add_outputs(result, required=True)
    result.set_defaults(command=commands.result)


def _add_dead(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    dead = commands_of.add_parser("dead", help="jobs that were given up: their workers died, or their processes")
    actions = dead.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[_common("print the records")], help="with the reasons, newest first")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=commands.dead)
    requeue = actions.add_parser("requeue", parents=[_common()], help="queue them again")
    which = requeue.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="*", default=[])
    which.add_argument("--all", action="store_true", help="all of them")
    requeue.set_defaults(command=commands.requeue)


def _add_batch(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    batch = commands_of.add_parser("batch", help="many jobs in one file of JSON lines")
    actions = batch.add_subparsers(required=True, metavar="ACTION")
    run = actions.add_parser("run", parents=[_common("print the record")], help="run a file; again, it goes on")
    run.add_argument("file", type=Path, help='lines of {"custom_id": ..., "spec": {...}}')
    run.add_argument("-o", "--output", type=Path, required=True, help="folder for an .npy a job, and errors.jsonl")
    _add_options(run)
    run.set_defaults(command=batch_commands.run)
    listing = actions.add_parser("list", parents=[_common("print the records")], help="the newest first")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=batch_commands.listing)
    for name, command, what in (
        ("show", batch_commands.show, "how many jobs are in which state"),
        ("cancel", batch_commands.cancel, "cancel what has not ended; what is finished stays"),
    ):
        _add_one(actions, name, command, what)


def _add_datasets(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    common = _common("print the records")
    datasets = commands_of.add_parser("datasets", parents=[common], help="list, upload, delete and prune data sets")
    datasets.set_defaults(command=commands.datasets, action=None)
    actions = datasets.add_subparsers(metavar="ACTION", dest="action")
    upload = actions.add_parser("upload", parents=[common], help="upload files")
    upload.add_argument("file", type=Path, nargs="+", help="an .npy, .csv or .parquet file")
    delete = actions.add_parser("delete", parents=[common], help="delete data sets")
    delete.add_argument("digest", nargs="+")
    prune = actions.add_parser("prune", parents=[common], help="delete data sets that were uploaded long ago")
    prune.add_argument("--older-than-days", type=float, required=True, metavar="DAYS")


def _add_private(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    private = commands_of.add_parser("private", help="protect data sets, see what was spent on them")
    actions = private.add_subparsers(required=True, metavar="ACTION")
    protect = actions.add_parser(
        "protect", parents=[_common("print the record")], help="upload one that nobody can read"
    )
    protect.add_argument("file", type=Path, help="records, a row each: an .npy, .csv or .parquet file")
    protect.add_argument("--epsilon", type=float, required=True, help="budget of all releases together")
    protect.add_argument("--delta", type=float, default=0.0, help="budget of all releases together (default: 0)")
    protect.add_argument("--neighbours", choices=[one.value for one in Neighbours], required=True)
    protect.add_argument("--low", required=True, metavar="NUMBERS", help="of the domain, such as 0,0,-1")
    protect.add_argument("--high", required=True, metavar="NUMBERS", help="of the domain, such as 1,1,1")
    protect.add_argument("--max-records", type=int, required=True, help="the most that there may be")
    protect.set_defaults(command=private_commands.protect)
    upload = actions.add_parser(
        "upload", parents=[_common("print the record")], help="replace the data; what was spent stays spent"
    )
    upload.add_argument("name")
    upload.add_argument("file", type=Path, help="records, a row each: an .npy, .csv or .parquet file")
    upload.set_defaults(command=private_commands.upload)
    listing = actions.add_parser("list", parents=[_common("print the records")], help="all of them")
    listing.set_defaults(command=private_commands.listing)
    for name, command, about in (
        ("show", private_commands.show, "the terms of one, and what is left"),
        ("spent", private_commands.spent, "what was spent on one, by whom"),
    ):
        action = actions.add_parser(name, parents=[_common("print the record")], help=about)
        action.add_argument("name")
        action.set_defaults(command=command)
    delete = actions.add_parser("delete", parents=[_common()], help="delete the data; what was spent stays spent")
    delete.add_argument("name", nargs="+")
    delete.set_defaults(command=private_commands.delete)


def _add_keys(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    keys = commands_of.add_parser("keys", help="create, list and revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", parents=[_common("print the record")], help="print a new key, this once")
    create.add_argument("name", help="who or what uses it")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        help="what it may do; repeat",
    )
    create.add_argument("--tenant", help="whose objects it reaches (default: yours)")
    create.add_argument("--expires-in-days", type=float, metavar="DAYS", help="from when on it is refused")
    create.set_defaults(command=key_commands.create)
    listing = actions.add_parser("list", parents=[_common("print the records")], help="the newest first")
    listing.set_defaults(command=key_commands.listing)
    revoke = actions.add_parser("revoke", parents=[_common()], help="refuse keys from now on")
    revoke.add_argument("id", nargs="+")
    revoke.set_defaults(command=key_commands.revoke)


def _add_webhooks(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    webhooks = commands_of.add_parser("webhooks", help="have jobs and batches that end told to an address")
    actions = webhooks.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[_common("print the record")], help="register one; shows its secret once")
    add.add_argument("address", help="https://...")
    add.add_argument("--events", help="such as job.failed,batch.completed (default: all)")
    add.set_defaults(command=webhook_commands.add)
    listing = actions.add_parser("list", parents=[_common("print the records")], help="the oldest first")
    listing.set_defaults(command=webhook_commands.listing)
    _add_one(actions, "show", webhook_commands.show, "how its last deliveries went", "print the record")
    _add_one(actions, "test", webhook_commands.test, "send it an event and say how that went")
    rotate = _add_one(
        actions, "rotate", webhook_commands.rotate, "give it a new secret, shown once", "print the record"
    )
    rotate.add_argument("--overlap", type=int, default=86_400, help="seconds for which the old secret signs too")
    update = _add_one(actions, "update", webhook_commands.update, "change its events, enable or disable it")
    update.add_argument("--events", help="such as job.failed,batch.completed")
    update.add_argument("--enable", dest="enabled", action="store_true", default=None, help="let it take events again")
    update.add_argument("--disable", dest="enabled", action="store_false", help="let it take no events")
    remove = actions.add_parser("remove", parents=[_common()], help="forget them")
    remove.add_argument("id", nargs="+")
    remove.set_defaults(command=webhook_commands.remove)


def _add_one(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: object,
    what: str,
    json_help: str | None = None,
) -> argparse.ArgumentParser:
    """A command about one thing, named by its id."""
    action = actions.add_parser(name, parents=[_common(json_help)], help=what)
    action.add_argument("id")
    action.set_defaults(command=command)
    return action


if __name__ == "__main__":
    sys.exit(main())
