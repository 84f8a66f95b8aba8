import os
import subprocess
import sys
from pathlib import Path

from nst_core.runtime.tensorflow_setup import setup_tensorflow

ROOT = Path(__file__).resolve().parents[3]
STYLISE = """
import hashlib, sys
from nst_core.runtime.tensorflow_setup import setup_tensorflow
setup_tensorflow(int(sys.argv[1]))
from nst_core.transfer.analysis import analyse
from nst_core.config import MelConfig, TransferConfig
from nst_core.classifier.saving import load_classifier
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.neural import stylise
music = analyse(music_piece("folk", 8.0, seed=0), MelConfig(), name="music")
rain = analyse(ambience("rain", 8.0, seed=0), MelConfig(), name="ambience")
found = stylise(music, rain, load_classifier(), TransferConfig(n_iterations=4))
print(hashlib.sha256(found.gain_db.tobytes()).hexdigest())
"""


def test_a_later_call_with_other_threads_does_nothing(tensorflow_is_set_up):
    import tensorflow as tf

    before = tf.config.threading.get_intra_op_parallelism_threads()
    setup_tensorflow(before + 1)
    assert tf.config.threading.get_intra_op_parallelism_threads() == before


def test_one_thread_and_two_give_the_same_bytes():
    found = [
        subprocess.run(
            [sys.executable, "-c", STYLISE, str(n_threads)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        ).stdout
        for n_threads in (1, 2)
    ]  # fmt: skip
    assert found[0] == found[1] != ""
