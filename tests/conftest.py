"""Fixtures every test may use."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from flows.prefect_environment import prepare_prefect

# Prefect reads its environment when it is imported, and the test modules import it.
_PREFECT_HOME = tempfile.mkdtemp(prefix="amnst-prefect-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)
os.environ["PREFECT_HOME"] = _PREFECT_HOME
prepare_prefect(verbose=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings beside the checkout; they are not part of the repository."""
    folder = Path(__file__).parents[1] / "../shared/data"
    if not folder.is_dir():
        pytest.skip("the shared recordings (../shared/data) are not on this machine")
    return folder
