"""Folders of temporary servers: created, and removed when their servers are dead."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from flows.server_process.folders import new_folder

NOBODY = 65534


@pytest.fixture
def own_folder(tmp_path):
    """A folder of a user who is not root: root may open every file."""
    if os.getuid():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's folders are root's
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_an_unlocked_folder_is_removed(tmp_path):
    (tmp_path / "left").mkdir()
    folder, lock = new_folder(tmp_path)
    with lock:
        assert list(tmp_path.iterdir()) == [folder]
        other, other_lock = new_folder(tmp_path)
        with other_lock:
            assert set(tmp_path.iterdir()) == {folder, other}


def test_a_folder_that_another_user_has_left_is_passed_over(own_folder):
    """`sudo amnst render` leaves such a folder if it is killed."""
    left = own_folder / "left"
    left.mkdir(mode=0)
    folder, lock = new_folder(own_folder)
    with lock:
        assert set(own_folder.iterdir()) == {left, folder}
    left.chmod(0o700)
