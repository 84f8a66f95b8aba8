from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folder of the inputs."""
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"
