"""An optional judge: the notes that a transcriber hears in the music and in the result.

Basic Pitch (Bittner et al., ICASSP 2022) is a neural network by Spotify that no part of the
transfer uses. Its wheel requires an old TensorFlow, but also contains an ONNX model:
`tests/benchmarks/README.md` shows how to install it.
"""

import importlib.util
import logging
from functools import lru_cache
from pathlib import Path

import numpy as np

from nst_core.streaming.resampling import resample

PACKAGES = ("basic_pitch", "onnxruntime", "mir_eval")
SR = 22_050
_OVERLAP_FRAMES = 30
_ONSET, _FRAME, _LEAST_FRAMES = 0.5, 0.3, 11
"""The transcriber's own defaults."""


def missing() -> list[str]:
    """Return the judge's packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def note_f1(y: np.ndarray, music: np.ndarray, sr: int) -> float:
    """Return the F1 of notes within 50 ms and half a semitone of the music's, 0..1.

    It is 1 if neither has notes.
    """
    from mir_eval.transcription import precision_recall_f1_overlap

    found, wanted = (_notes(np.asarray(x, np.float32).tobytes(), sr) for x in (y, music))
    if not len(wanted[0]) or not len(found[0]):
        return float(len(wanted[0]) == len(found[0]))
    *_, f1, _ = precision_recall_f1_overlap(*wanted, *found, offset_ratio=None)
    return float(f1)


@lru_cache(maxsize=256)  # every method is compared with the same music
def _notes(samples: bytes, sr: int) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals in seconds, shape (n, 2), and pitches in Hz, shape (n,), of float32."""
    session, inference, creation = _transcriber()
    y = resample(np.frombuffer(samples, np.float32), sr, SR)
    overlap = _OVERLAP_FRAMES * inference.FFT_HOP
    padded = np.pad(y, (overlap // 2, 0))
    hop = inference.AUDIO_N_SAMPLES - overlap
    windows = [window for window, _ in inference.window_audio_file(padded, hop)]
    name = session.get_inputs()[0].name
    outputs = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    frames, onsets = (
        inference.unwrap_output(x, len(y), _OVERLAP_FRAMES)
        for x in session.run(outputs, {name: np.stack(windows).astype(np.float32)})
    )
    heard = creation.output_to_notes_polyphonic(
        frames, onsets, onset_thresh=_ONSET, frame_thresh=_FRAME, infer_onsets=True,
        min_note_len=_LEAST_FRAMES, min_freq=None, max_freq=None, melodia_trick=True,
    )  # fmt: skip
    times = creation.model_frames_to_time(len(frames) + 1)
    intervals = np.array([(times[start], times[end]) for start, end, *_ in heard]).reshape(-1, 2)
    return intervals, 440 * 2 ** ((np.array([pitch for _, _, pitch, _ in heard]) - 69) / 12)


@lru_cache(maxsize=1)
def _transcriber():
    logging.disable(logging.WARNING)  # it warns, on import, of each backend that is not there
    try:
        import onnxruntime
        from basic_pitch import inference, note_creation
    finally:
        logging.disable(logging.NOTSET)
    model = Path(inference.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return session, inference, note_creation
