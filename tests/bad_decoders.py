"""A libsndfile that misbehaves in decoder processes if a file requests it."""

from pathlib import Path

import pytest
import soundfile as sf

from nst_core.decoding.isolation import end_decoders

_MARK = "please "
_MODULE = """
import os
import sys

_folder = os.path.dirname(__file__)
sys.path.remove(_folder)
_this = sys.modules.pop(__name__)
import soundfile as _real
sys.modules[__name__] = _this

SoundFileError = _real.SoundFileError


class SoundFile(_real.SoundFile):
    def __init__(self, fh):
        data = fh.read()
        fh.seek(0)
        super().__init__(fh)
        self._wish = data.partition(b"please ")[2].partition(b".")[0]

    def read(self, *args, **kwargs):
        if self._wish == b"abort":
            os.abort()
        while self._wish == b"loop":
            pass
        held = []
        while self._wish == b"grow":
            held.append(bytearray(1 << 24))
        if self._wish == b"fail":
            raise _real.LibsndfileError(7)
        if self._wish == b"surprise":
            raise KeyError("a bug of its own")
        if self._wish == b"tell":
            raise KeyError(" ".join(sorted(os.environ)))
        return super().read(*args, **kwargs)
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make decoder processes that start from now on import it; call `end_decoders` at the end."""
    folder.mkdir()
    (folder / "soundfile.py").write_text(_MODULE, "utf-8")
    monkeypatch.syspath_prepend(folder)
    end_decoders()


def ask_for(path: Path, wish: str) -> Path:
    """Add a wish to a WAV file: ``abort``, ``loop``, ``grow``, ``fail``, ``surprise``, ``tell``."""
    assert sf.info(path).format == "WAV"
    body = f"{_MARK}{wish}.".ljust(32).encode()
    with path.open("ab") as file:
        file.write(b"note" + len(body).to_bytes(4, "little") + body)
    return path
