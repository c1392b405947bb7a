"""The command `promise VERB [overrides]`: the table of verbs and the plain subcommands outside Hydra."""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import promise
from promise import configs
from promise.help import print_help
from promise.pipeline.signals import handle_signals
from promise.process import configure_runtime

VERBS = {
    "prepare": ("promise.prepare", "read the data, embed the items and give them semantic IDs"),
    "train": ("promise.train", "train the generator and its process reward model"),
    "evaluate": ("promise.evaluate", "rank items for held-out users: accuracy, and the compute it took"),
    "score": ("promise.score", "anybody's lists, FILE, beside the leaderboard: user by user, with intervals"),
    "recommend": ("promise.recommend", "the top items of any histories, by a model folder alone"),
    "serve": ("promise.serve", "the same over HTTP, many requests in one search"),
    "append": ("promise.append", "a model folder with new items in its catalogue, without training"),
    "push": ("promise.push", "share a model folder with its card: a folder, or a repository of the Hugging Face Hub"),
    "pull": ("promise.pull", "fetch a model folder from there, and see that it is whole and loads"),
    "sweep": ("promise.sweep", "evaluate many points and chart accuracy against compute"),
    "bench": ("promise.bench.run", "time the engine beside peers of equal size and the machine's own limits"),
}
SUBCOMMANDS = {
    "results": "write RESULTS.md from the committed rows; take in those of a run: promise results [add FOLDER ...]",
    "artifacts": "list, remove or verify what the stages keep: promise artifacts ls | rm NAME | verify",
    "ids": "show how good semantic IDs are (.npz, or a model's folder): promise ids report PATH",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code (2 for a verb that does not exist).

    Args:
        argv: The words after `promise`; those of the command line when None.

    Raises:
        SystemExit: With 2 after bad input, 130 after SIGINT, 143 after SIGTERM, each after one line.
    """
    try:
        with handle_signals():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # the reader of `promise --help | head` has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    configure_runtime()
    if any(word.startswith(("launcher=joblib", "launcher=slurm", "launcher=ray")) for word in words):
        # Workers inherit it: side by side, threads of one worker take the cores of another.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    started_by = os.environ.get("PROMISE_VERB") if "LOCAL_RANK" in os.environ else None
    if started_by and words[:1] != [started_by]:
        # Lightning starts its other ranks with the words that Hydra saw, which do not hold the verb.
        words.insert(0, started_by)
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    if verb in ("--help", "-h", "help"):
        print_help(None, {**{name: about for name, (_, about) in VERBS.items()}, **SUBCOMMANDS}, rest)
    elif verb in ("--version", "-V"):
        print(f"promise {promise.__version__}")
    elif verb in SUBCOMMANDS:
        from promise import results

        try:
            return {"artifacts": _artifacts, "ids": _ids, "results": results.main}[verb](rest)
        except (ValueError, OSError) as error:
            print(f"promise {verb}: {error}", file=sys.stderr)
            return 2
    elif verb not in VERBS:
        names = [*VERBS, *SUBCOMMANDS]
        close = difflib.get_close_matches(verb, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        print(f"promise: unknown verb {verb!r}; the verbs are {', '.join(names)}.{hint}", file=sys.stderr)
        return 2
    elif {"--help", "-h"} & set(rest):
        print_help(verb, {verb: VERBS[verb][1]}, rest)
    else:
        from promise.pipeline.errors import ending_checks, hydra_raises
        from promise.pipeline.overrides import checked_command, flags_first

        os.environ["PROMISE_VERB"] = verb
        with ending_checks(), hydra_raises():
            words = flags_first(overrides_of(rest) if verb == "score" else rest)
            sys.argv = [sys.argv[0], *words]
            with checked_command(words, configs.root_config(verb)):
                importlib.import_module(VERBS[verb][0]).main()
    return 0


def overrides_of(words: Sequence[str]) -> list[str]:
    """The words after `promise score`, a file in front of them as the overrides that it stands for.

    >>> overrides_of(["lists.csv", "split=test"]), overrides_of(["search=co_visit"])
    (['search=predictions', "search.file='lists.csv'", 'split=test'], ['search=co_visit'])
    """
    if not words or "=" in words[0] or words[0].startswith("-"):
        return list(words)
    quoted = words[0].replace("'", r"\'")
    return ["search=predictions", f"search.file='{quoted}'", *words[1:]]


def _artifacts(words: Sequence[str]) -> int:
    """The subcommand `promise artifacts`: 0 when all is well, 2 otherwise."""
    from promise.pipeline.store import Store

    parser = argparse.ArgumentParser(prog="promise artifacts", description="What the stages keep.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (
        ("ls", "list artifacts and unfinished builds: name, MB, seconds it took, when"),
        ("rm", "remove them by name"),
        ("verify", "compare every file with the hash in its manifest"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        if name == "rm":
            action.add_argument("names", nargs="+", metavar="NAME", help="as ls prints it; may hold * and ?")
        action.add_argument("--store", default="outputs", help="the folder that `store=` names (default: outputs)")
    arguments = parser.parse_args([f"--{word}" if word.startswith("store=") else word for word in words])
    store = Store(Path(arguments.store) / "artifacts")
    if arguments.action == "rm":
        for name in store.rm(arguments.names):
            print(f"removed {name}")
    elif arguments.action == "ls":
        for row in store.ls():
            state = f"{row.seconds:>10,.1f} s  {row.created}" if row.complete else "unfinished"
            print(f"{row.key:<40} {row.size_bytes / 1e6:>10,.1f} MB {state}")
    else:
        problems = store.verify()
        for key, found in problems.items():
            print(f"{key:<40} {'; '.join(found) or 'ok'}")
        return 2 if any(problems.values()) else 0
    return 0


def _ids(words: Sequence[str]) -> int:
    """The subcommand `promise ids`: 0 when all is well."""
    parser = argparse.ArgumentParser(prog="promise ids", description="What semantic IDs are worth.")
    about = SUBCOMMANDS["ids"]
    report = parser.add_subparsers(dest="action", required=True).add_parser("report", help=about, description=about)
    report.add_argument("path", help="paths.ids of `promise prepare`, or paths.model of `promise train`")
    path = Path(parser.parse_args(words).path)
    from promise.ids.semantic_ids import SemanticIds
    from promise.pipeline.ids_report import show_quality
    from promise.pipeline.model_folder import IDS as FILE

    try:
        show_quality(SemanticIds.load(path / FILE if path.is_dir() else path))
    except ValueError as error:
        raise ValueError(str(error).replace("ids.path", "PATH", 1)) from None
    return 0
