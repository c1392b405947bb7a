"""A tiny world on disk that trains in a moment, and a way to run verbs in this process."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch reads both when it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors this small only wait for each other on several threads

import contextlib
import copy
import importlib
import io
import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

yaml.SafeLoader = yaml.CSafeLoader  # Hydra reads dozens of files for each config: the parser in C says the same sooner
KINDS, ITEMS, USERS = 4, 40, 60
SMALL = (
    "generator=tiny", "generator.dim=16", "ids.codes=8", "training.epochs=2", "checkpoint_selection.users=20",
    "checkpoint_selection.width=5", "logger=csv",
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Users who mostly stay with one of four kinds of items; item ids have gaps, and one user is too short.

    Attributes:
        folder: Where the files lie.
        histories: User token -> item ids, oldest first.
    """

    folder: Path
    histories: dict[str, list[int]]

    @property
    def words(self) -> list[str]:
        """Overrides that read this world and train something tiny on it."""
        files = (f"data.sequences={self.folder / 'sequences.txt'}", f"data.items={self.folder / 'items.jsonl'}")
        return ["data=s3rec", *files, *SMALL]


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        code: Exit code.
        out: Its stdout.
        err: Its stderr.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out.splitlines()[-1])

    @property
    def error(self) -> str:
        """The one line of a check, after what the log said on the way."""
        assert self.code == 2 and self.out == "" and "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if not line.startswith("[")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("error: ")


Run = Callable[..., Answer]


def run_verb(*words: str) -> Answer:
    """`promise WORDS` in this process."""
    from hydra._internal.hydra import Hydra

    from promise import cli

    Hydra.get_mode = lambda *_, **__: None  # no config of ours sets it, and to ask composes everything once more
    out, err = io.StringIO(), io.StringIO()
    argv, handlers, threads = sys.argv, logging.getLogger().handlers[:], os.environ.get("OMP_NUM_THREADS")
    levels = {name: logging.getLogger(name).level for name in ("", "lightning.pytorch", "lightning.fabric")}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = argv
        os.environ.pop("PROMISE_VERB", None)
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        for handler in logging.getLogger().handlers:
            if handler not in handlers:  # Hydra's, one of which holds a file open
                handler.close()
        logging.getLogger().handlers = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The files of the tiny world."""
    random = np.random.default_rng(0)
    ids, kind = 7 + 3 * np.arange(ITEMS), np.arange(ITEMS) % KINDS
    histories = {}
    for user in range(USERS):
        home = np.flatnonzero(kind == random.integers(KINDS))
        length = int(random.integers(5, 12))
        taken = np.where(random.random(length) < 0.8, random.choice(home, length), random.integers(ITEMS, size=length))
        histories[f"user{user}"] = ids[taken].tolist()
    folder = tmp_path_factory.mktemp("world")
    lines = [" ".join(map(str, [user, *items])) for user, items in histories.items()]
    (folder / "sequences.txt").write_text("\n".join([*lines, "short 7 10"]) + "\n")
    rows = [{"id": int(ids[i]), "text": f"kind{kind[i]} word{i % 7} thing{i}"} for i in range(ITEMS)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return World(folder, histories)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests may add to, so that the tiny networks are trained once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def run(world: World, shared_store: Path) -> Run:
    """Run a verb on the tiny world: `run("evaluate", "search.width=10")`; its store is the shared one."""

    def on_world(verb: str, *words: str, store: Path = shared_store) -> Answer:
        return run_verb(verb, *world.words, f"store={store}", *words)

    return on_world


@pytest.fixture(scope="session")
def model(run: Run) -> Path:
    """The folder of the tiny model."""
    return Path(run("train").json["paths"]["model"])


@pytest.fixture(scope="session")
def run_bare() -> Run:
    """Run a command as it is typed."""
    return run_verb


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def screen(tmp_path: Path) -> Callable[..., float]:
    """Brightness (0 to 1) of an address in Chromium, light or dark, without a network; a page's complaint fails."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium")
    words = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,2000",
        "--virtual-time-budget=4000", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]  # fmt: skip

    def brightness(address: str, dark: bool) -> float:
        picture = tmp_path / "page.png"
        mode = [f"--user-data-dir={tmp_path / str(dark)}", *(["--force-dark-mode"] if dark else [])]
        done = subprocess.run([*words, *mode, f"--screenshot={picture}", address], capture_output=True, timeout=120)
        said = done.stderr.decode()
        assert done.returncode == 0 and "CONSOLE" not in said, said
        with Image.open(picture) as image:
            return float(np.asarray(image.convert("L")).mean() / 255)

    return brightness


@pytest.fixture(scope="session")
def call() -> Callable[..., Any]:
    """Call a verb that has a config of its own, without Hydra: `call("push", "model=m", "to=./shared")`."""
    from omegaconf import OmegaConf

    from promise import configs

    def run(verb: str, *words: str) -> Any:
        conf: Any = OmegaConf.load(Path(configs.config_path()) / f"{verb}.yaml")
        del conf["defaults"]
        return importlib.import_module(f"promise.{verb}").run(OmegaConf.merge(conf, OmegaConf.from_dotlist([*words])))

    return run


@pytest.fixture(scope="session")
def config_of(world: World, shared_store: Path) -> Callable[..., Any]:
    """The config of some overrides on the tiny world: `config_of("seed=1")`."""
    from omegaconf import OmegaConf

    from promise import configs

    groups, known = configs.groups(), cache(lambda chosen: configs.compose([*world.words, *chosen]))

    def compose(*words: str, store: Path = shared_store) -> Any:
        named = [word for word in words if re.split("[@=]", word)[0] in groups]
        cfg = copy.deepcopy(known(tuple(named)))  # Hydra takes its time; values are put in their place by hand
        OmegaConf.set_struct(cfg, False)
        cfg.store = str(store)
        for name, _, value in (word.lstrip("+").partition("=") for word in words if word not in named):
            OmegaConf.update(cfg, name, yaml.safe_load(value))
        OmegaConf.set_struct(cfg, True)
        return cfg

    return compose


@pytest.fixture(scope="session")
def pipeline_of(config_of: Callable[..., Any]) -> Callable[..., Any]:
    """The pipeline of a config: `pipeline_of("seed=1")`."""
    from promise.pipeline.stages import Pipeline

    return lambda *words, **store: Pipeline(config_of(*words, **store))
