"""Model folders that go elsewhere: copied whole, to and from a repository of the Hugging Face Hub, and refused."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from promise.pipeline.config import named
from promise.pipeline.files import file_fingerprint
from promise.pipeline.model_folder import DESCRIPTION, FILES, description

#: The file of a folder or repository that tells people what it holds.
CARD = "README.md"

#: `owner/name`, as the Hub spells it.
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_repository(place: str) -> bool:
    """Whether a place is `owner/name` of the Hub: it has that form, and there is no folder `owner` here."""
    return bool(REPOSITORY.fullmatch(place)) and not Path(place).parent.exists()


@contextmanager
def copied_whole(source: Path, target: Path, option: str) -> Iterator[Path]:
    """Gives a copy of a model folder to add a card to, which becomes `target` at once when it is done.

    Where `target` holds the same model already, only its card is replaced.

    Raises:
        ValueError: If `target`, which `option` names, holds something else, or a file of the source changes meanwhile.
    """
    described, there = description(source), target.exists() and not (target.is_dir() and not any(target.iterdir()))
    text = (source / DESCRIPTION).read_bytes()
    if there and not ((target / DESCRIPTION).is_file() and (target / DESCRIPTION).read_bytes() == text):
        raise ValueError(f"{option}={target} holds something else already: name a folder that is not there")
    folder = target.absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}-", dir=folder) as beside:
        (part := Path(beside) / target.name).mkdir()
        (part / DESCRIPTION).write_bytes(text)
        for name in FILES:
            shutil.copyfile(source / name, part / name)
            if file_fingerprint(part / name) != described["files"][name]:
                raise ValueError(f"{source / name} has changed since the model was written")
        yield part
        if not there:
            part.rename(target)
        elif (part / CARD).is_file():
            (part / CARD).replace(target / CARD)


def foreign_classes(described: dict[str, Any]) -> list[str]:
    """What a model's description would load that is no part of promise; what is, `Model.open` checks."""
    found = named({"config": described["config"], "search": described["search"]})
    targets = {str(value) for name, value in found.items() if name.endswith("._target_")}
    return sorted(target for target in targets if not target.startswith("promise."))


@contextmanager
def reached(option: str, repository: str) -> Iterator[Any]:
    """Gives the library huggingface_hub; ValueError if it is not installed, or the Hub is out of reach or refuses."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ValueError(
            f"{option}={repository} is a repository of the Hugging Face Hub, which needs pip install -e '.[hub]' "
            f"({error}); a folder is {option}=./{repository}"
        ) from None
    try:
        yield huggingface_hub
    except (OSError, errors.HTTPError, errors.HFValidationError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{option}={repository}: the Hub cannot be used: {said[:300]}") from None


def upload(folder: Path, card: str, repository: str, private: bool) -> str:
    """Commit a model folder, checked, and its card to a repository of the Hub, made if there is none; gives an address.

    ValueError if the Hub cannot be used, or its repository holds something else or is not as private as wanted.
    """
    with reached("to", repository) as hub:
        api = hub.HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        info = api.model_info(repository)
    if bool(info.private) != private:
        kind = "private" if info.private else "public"
        raise ValueError(f"to={repository} is a {kind} repository already: private={str(not private).lower()} agrees")
    others = {file.rfilename for file in info.siblings or ()} - {".gitattributes", CARD, DESCRIPTION, *FILES}
    if others:
        raise ValueError(f"to={repository} holds something else already, such as {min(others)}: name another one")
    with reached("to", repository) as hub:
        files: dict[str, Any] = {CARD: card.encode(), **{name: folder / name for name in (DESCRIPTION, *FILES)}}
        operations = [hub.CommitOperationAdd(name, each) for name, each in files.items()]
        commit = api.create_commit(repository, operations, commit_message="Push a model", parent_commit=info.sha)
    return str(commit.commit_url)


def download(repository: str) -> Path:
    """The folder in the Hub's cache that holds the model and the card of a repository; raises as `reached`."""
    with reached("from", repository) as hub:
        return Path(hub.snapshot_download(repository, allow_patterns=[CARD, DESCRIPTION, *FILES]))
