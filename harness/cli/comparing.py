"""`compare`, `gate` and `baseline`: what is said of one run beside another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.asking import add_asking, spec_of
from harness.cli.parts import DONE, Parser, add_format, add_output

if TYPE_CHECKING:
    from harness.baseline import Side
    from harness.gate import GateSpec
    from harness.pipeline import RunSpec


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    _add_compare(commands)
    _add_gate(commands)
    _add_baseline(commands)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="say whether runs differ, answer by answer",
        epilog="example:\n  tcm-eval compare results/runs/OLD results/runs/NEW",
        description="Compare runs with the first one, paired by question: effects, intervals, tests, and a sentence each.",
    )
    compare.add_argument("baseline", metavar="A", help="a run's folder or name, or a baseline file")
    compare.add_argument("candidates", metavar="B", nargs="+", help="runs to compare with A")
    compare.add_argument("--force", action="store_true", help="compare runs that were not asked alike, and say so")
    add_format(compare)
    add_output(compare)
    compare.set_defaults(call=_compare)


def _add_gate(commands: Any) -> None:
    gate = commands.add_parser(
        "gate",
        help="say whether a candidate is worse than a baseline, as an exit code",
        description="Exit codes: 0 pass, 1 regression, 2 usage, 3 run invalid or incomplete, 4 inconclusive.",
        epilog="example:\n  tcm-eval gate --baseline baseline.json --model server/my-checkpoint --config gate.yaml --junit gate.xml",
    )
    gate.add_argument(
        "--baseline", required=True, metavar="RUN|FILE", help="a run's folder or name, or a baseline file"
    )
    what = gate.add_mutually_exclusive_group(required=True)
    what.add_argument("--candidate", metavar="RUN", help="a finished run's folder or name")
    what.add_argument("--model", metavar="MODEL", help="ask this model first: alias, or provider/name")
    gate.add_argument("--tasks", metavar="NAMES", help="what to ask --model (default: the baseline's tasks)")
    gate.add_argument("--config", type=Path, metavar="FILE", help="gate.yaml (default: every task, margin 0.05)")
    gate.add_argument(
        "--inconclusive", choices=("pass", "fail"), help="exit with 0 or 1 instead of 4 when inconclusive"
    )
    for form in ("JUnit", "Markdown", "JSON"):
        gate.add_argument(
            f"--{form.lower()}", type=Path, metavar="FILE", help=f"write the outcome as {form} to this file"
        )
    add_asking(gate)
    gate.set_defaults(call=_gate)


def _add_baseline(commands: Any) -> None:
    what = commands.add_parser("baseline", help="keep a run's scores as one small file").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    make = what.add_parser("set", help="write a new baseline file from a finished run")
    show = what.add_parser("show", help="say what a baseline file holds")
    update = what.add_parser("update", help="replace a baseline file by another run, and say what changes")
    for one, call in ((make, _baseline_set), (update, _baseline_update)):
        one.add_argument("run", metavar="RUN", help="a run's folder or name")
        add_output(one)
        one.set_defaults(call=call)
    make.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=Path("baseline.json"),
        metavar="FILE",
        help="new file (default: baseline.json)",
    )
    for one in (show, update):
        one.add_argument("file", type=Path, metavar="FILE", help="a baseline file")
    show.set_defaults(call=_baseline_show)


def _compare(args: argparse.Namespace) -> int:
    from harness.baseline import find, load
    from harness.compare import compare_runs, render_comparison
    from harness.tables import terminal_width

    first, *others = (load(find(text, args.output)) for text in (args.baseline, *args.candidates))
    compared = compare_runs(first, others, force=args.force)
    print(render_comparison(compared, args.format, width=terminal_width(120)))
    return DONE


def _gate(args: argparse.Namespace) -> int:
    from harness.baseline import find, load
    from harness.gate import as_text, judge, read_spec, write_reports

    _refuse_with_candidate(args)
    spec = read_spec(args.config)
    baseline = load(find(args.baseline, args.output))
    if args.dry_run:
        from harness.pipeline import estimate

        print(estimate(_asking(args, baseline)))
        return DONE
    candidate = find(args.candidate, args.output) if args.candidate else _asked(args, baseline, spec)
    outcome, changed = judge(baseline, candidate, spec, args.inconclusive)
    print(as_text(outcome))  # before the files: a full disk does not hide what was found
    write_reports(outcome, changed, junit=args.junit, markdown=args.markdown, json=args.json)
    return outcome.verdict.exit_code


def _refuse_with_candidate(args: argparse.Namespace) -> None:
    """Raise UsageError for an option that says how a model is asked, where a finished run is judged."""
    from harness.errors import UsageError

    plain = Parser()
    add_asking(plain)
    asking = {"tasks": None, **vars(plain.parse_args([]))}
    for name, default in asking.items():
        if args.candidate and name not in ("output", "data_root") and getattr(args, name) != default:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} says how --model is asked, but --candidate {args.candidate} has answered already. "
                "Leave one of the two out."
            )


def _asking(args: argparse.Namespace, baseline: Side) -> RunSpec:
    """Return what the candidate is to be asked: what the baseline was, unless --tasks says otherwise."""
    from harness.errors import UsageError

    if len(args.name) > 1:
        raise UsageError(f"{len(args.name)} --name for one --model: give one")
    args.tasks = args.tasks or ",".join(baseline.tasks)
    return spec_of(args, args.model, next(iter(args.name), None))


def _asked(args: argparse.Namespace, baseline: Side, spec: GateSpec) -> Path:
    """Ask the model what the baseline was asked; return the run's folder."""
    from harness.console import Guarded
    from harness.gate import counterpart, refuse_early
    from harness.pipeline import run

    watch = Guarded(
        lambda plan: refuse_early(baseline, spec, {t: i["metrics"] for t, i in plan.manifest["tasks"].items()})
    )
    return counterpart(baseline, [(done.folder, done.summary) for done in run(_asking(args, baseline), watch)])


def _baseline_set(args: argparse.Namespace) -> int:
    from harness.baseline import find, set_baseline

    print(set_baseline(find(args.run, args.output), args.file))
    return DONE


def _baseline_show(args: argparse.Namespace) -> int:
    from harness.baseline import from_file, side_text

    print(side_text(from_file(args.file)))
    return DONE


def _baseline_update(args: argparse.Namespace) -> int:
    from harness.baseline import find, update_baseline

    print(update_baseline(find(args.run, args.output), args.file))
    return DONE
