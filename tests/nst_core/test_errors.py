import copy
import pickle

import pytest

from nst_core.errors import AudioError, ConfigError, DatasetError, ModelError, NSTError, SignalError

EVERY = [
    NSTError("broken", code="some_code"),
    ConfigError("strength = 2 is outside 0..1"),
    AudioError("truncated", "a.wav", "its header promises more"),
    DatasetError("no genres", code="no_genres"),
    ModelError("another sha256", code="model_checksum"),
    SignalError("music is silent", code="silent"),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_the_trip_to_another_process(error, protocol):
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.code == error.code


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_a_copy_is_the_same_error(error):
    assert vars(copy.copy(error)) == vars(error)
    assert str(copy.deepcopy(error)) == str(error)


def test_a_pickled_error_keeps_what_else_was_attached():
    error = SignalError("music is silent", code="silent")
    error.add_note("row 17")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["row 17"]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_every_error_is_caught_as_one_kind(error):
    with pytest.raises(NSTError):
        raise error


def test_an_audio_error_names_the_file_and_the_reason():
    error = AudioError("truncated", "a.wav", "half of it is missing")
    assert str(error) == "a.wav: half of it is missing"
    assert (error.path, error.reason, error.code) == ("a.wav", "half of it is missing", "truncated")


def test_a_config_and_a_signal_error_have_a_code_of_their_own():
    assert ConfigError("x").code == "bad_config"
    assert SignalError("x").code == "bad_signal"
