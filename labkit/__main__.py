"""The command line: ``python -m labkit COMMAND``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkit import control
from labkit.control import Outcome
from labkit.services import NIGHTLY


def main() -> int:
    """Run one command; 1 when it could not be done."""
    arguments = _parser().parse_args()
    try:
        return _run(arguments)
    except (RuntimeError, OSError, ValueError) as error:
        say(f"labkit: {error}")
        return 1


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"{line}\n")


def _run(arguments: argparse.Namespace) -> int:
    folder: Path | None = arguments.lab_dir
    match arguments.command:
        case "up":
            report(control.up(folder, say))
        case "down":
            say("the lab is down" if control.down(folder).changed else "there was no lab")
        case "status":
            report(control.status(folder))
        case "stop":
            say("stopped" if control.stop(arguments.name, folder) else "it was not running")
        case "start":
            say("started" if control.start(arguments.name, folder) else "it was running")
        case "run":
            return control.run(arguments.job, tuple(arguments.arguments), folder)
        case _:
            _violation(arguments, folder)
    return 0


def _violation(arguments: argparse.Namespace, folder: Path | None) -> None:
    from tests import violations  # noqa: PLC0415 - the catalogue is the tests'; a lab runs without it

    catalogue = violations.catalogue()
    if arguments.command == "violations":
        active = violations.planted(folder)
        for violation in catalogue.values():
            mark = "*" if violation.id in active else " "
            sys.stdout.write(f"{mark} {violation.id:44} {violation.check:36} {violation.about}\n")
        return
    if arguments.id not in catalogue:
        raise ValueError(f"no violation is called {arguments.id}; `labkit violations` lists them")
    violation = catalogue[arguments.id]
    act = violations.plant if arguments.command == "plant" else violations.remove
    done = "planted" if arguments.command == "plant" else "removed"
    say(f"{violation.id}: {done if act(violation, folder) else 'nothing to do'}")


def report(outcome: Outcome) -> None:
    """Who runs, who does not, what is missing and why."""
    for name, pid in outcome.running.items():
        say(f"  {name:16} running, pid {pid}")
    for name in outcome.stopped:
        say(f"  {name:16} stopped")
    for name, reason in outcome.missing.items():
        say(f"  {name:16} missing: {reason}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labkit", description="The embedded environment the audit is tried on.")
    parser.add_argument("--lab-dir", type=Path, help="its folder (default: ATOM_LAB_DIR, else .lab in the checkout)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything, or what died")
    commands.add_parser("down", help="end every process, remove every file")
    commands.add_parser("status", help="who runs")
    for name in ("stop", "start"):
        commands.add_parser(name, help=f"{name} one server, keeping its data").add_argument("name")
    job = commands.add_parser("run", help="run a nightly job now; what follows its name is passed on")
    job.add_argument("job", choices=sorted(NIGHTLY))
    job.add_argument("arguments", nargs=argparse.REMAINDER)
    for name in ("plant", "remove"):
        commands.add_parser(name, help=f"{name} a violation").add_argument("id")
    commands.add_parser("violations", help="list the violations; * marks the planted ones")
    return parser


if __name__ == "__main__":
    sys.exit(main())
