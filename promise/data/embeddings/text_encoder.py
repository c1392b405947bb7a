"""TextEncoder: the items' texts through a pretrained network, each text once, however often the catalogue changes."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.vectors import digest
from promise.data.histories import Histories
from promise.ids.progress import progress
from promise.ids.quantizers.checks import check_count

#: Texts whose vectors are written at once: what a killed run loses at most.
TEXTS_AT_ONCE = 1024


class TextEncoder:
    """Vectors of texts by a model that sentence-transformers can load; rows have length 1.

    Args:
        model: a folder, or a name on the Hugging Face hub; an encoder of transformers alone is mean-pooled.
        prefix: what the model wants before every text, such as `passage: `.
        batch_size: texts encoded at once, >= 1.
        cache_path: folder in which vectors are kept, by the hashes of model and text.

    Raises:
        ValueError: a parameter is out of range, or sentence-transformers is not installed.
    """

    def __init__(self, model: str, prefix: str, batch_size: int, cache_path: str) -> None:
        if find_spec("sentence_transformers") is None:
            raise ValueError("embeddings=text_encoder needs sentence-transformers: pip install -e '.[text]'")
        self.model, self.prefix, self.cache = model, prefix, Path(cache_path)
        self.batch_size = batch_size
        check_count("embeddings.batch_size", batch_size)

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Encodes the texts that are not kept yet: (I, E) float32; an item without a text gets a row of zeros.

        Raises:
            NothingToEmbed: no item has a text.
            ValueError: the model cannot be loaded.
        """
        texts = items["text"].str.strip_chars().replace("", None)
        if texts.null_count() == len(texts):
            raise NothingToEmbed("the items have no texts (embeddings=co_occurrence needs none)")
        distinct = texts.drop_nulls().unique(maintain_order=True)
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in distinct]
        table = pl.DataFrame({"text": distinct, "key": keys})
        folder = self.cache / self.fingerprint()
        kept = list(folder.glob("[!.]*.parquet"))
        missing = table.join(pl.read_parquet(kept, glob=False), on="key", how="anti") if kept else table
        if len(missing):
            self._encode(missing, folder)
        vectors = pl.read_parquet(list(folder.glob("[!.]*.parquet")), glob=False).unique("key", keep="any")
        found = table.join(vectors, on="key", how="left", maintain_order="left")
        rows = texts.to_frame().join(found.with_row_index("row"), on="text", how="left", maintain_order="left")["row"]
        place = rows.fill_null(0).to_numpy()
        return np.where(rows.is_null().to_numpy()[:, None], np.float32(0), found["vector"].to_numpy()[place])

    def fingerprint(self) -> str:
        """Returns a hash of the model's files, or of its name on the hub, and of the prefix."""
        folder = Path(self.model).expanduser()
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        contents = [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
        return digest("text_encoder-1", contents or self.model, self.prefix)

    def _encode(self, table: pl.DataFrame, folder: Path) -> None:
        """Writes the vectors of texts, a file for each part."""
        model = self._load()
        folder.mkdir(parents=True, exist_ok=True)
        parts = list(table.iter_slices(TEXTS_AT_ONCE))
        for part in progress(parts, f"encoding texts by {self.model}", [len(part) for part in parts], "texts"):
            texts = [self.prefix + text for text in part["text"]]
            how = {"batch_size": self.batch_size, "normalize_embeddings": True, "show_progress_bar": False}
            vectors = model.encode(texts, **how)
            name = f"{part['key'][0]}.parquet"
            unfinished = folder / f".{os.getpid()}-{name}"
            kept = pl.Series("vector", np.asarray(vectors, np.float32))
            part.select("key").with_columns(kept).write_parquet(unfinished)
            unfinished.rename(folder / name)

    def _load(self) -> Any:
        from sentence_transformers import SentenceTransformer  # seconds to import

        try:
            return SentenceTransformer(os.path.expanduser(self.model))
        except (OSError, ValueError) as error:
            raise ValueError(f"embeddings.model={self.model} cannot be loaded: {str(error).splitlines()[0]}") from error
