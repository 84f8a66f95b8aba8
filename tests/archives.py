"""Archives of a dataset for tests."""

import io
import tarfile
import zipfile
from pathlib import Path

from tasks.unpack import ArchiveLimits

LIMITS = ArchiveLimits()

MEMBERS = {
    "genres/jazz/jazz.00000.wav": b"RIFF jazz",
    "genres/rock/rock.00000.au": b".snd rock",
    "genres/tracks.csv": b"file,artist\n",
    "genres/README.md": b"where it is from",
    "genres/jazz/.hidden.wav": b"no",
    "__MACOSX/genres/jazz/._jazz.00000.wav": b"no",
    "genres/setup.py": b"import os",
}

KEPT = [
    "genres/README.md",
    "genres/jazz/jazz.00000.wav",
    "genres/rock/rock.00000.au",
    "genres/tracks.csv",
]


def tar_of(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(name, data)
    return path


def with_member(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(info)
    return path


def files_in(folder: Path) -> list[str]:
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != ".complete.json")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
