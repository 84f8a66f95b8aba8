import dataclasses

import pytest

from nst_core.config import (
    DEFAULT_PRESET,
    PRESETS,
    AudioLimits,
    CarrierConfig,
    ClassifierConfig,
    InversionConfig,
    MelConfig,
    OutputConfig,
    SegmentConfig,
    TrainingConfig,
    TransferConfig,
    check_strength,
    preset,
)
from nst_core.errors import ConfigError

KINDS = [
    AudioLimits,
    CarrierConfig,
    ClassifierConfig,
    InversionConfig,
    MelConfig,
    OutputConfig,
    SegmentConfig,
    TrainingConfig,
    TransferConfig,
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_is_frozen_hashable_and_equal_by_value(kind):
    config = kind()
    assert config == kind()
    assert hash(config) == hash(kind())
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_keyword_only(kind):
    with pytest.raises(TypeError):
        kind(1)


def test_the_defaults_are_the_customers_figures():
    mel = MelConfig()
    assert (mel.sr, mel.n_fft, mel.hop_length, mel.n_mels) == (22_050, 1024, 256, 384)
    assert SegmentConfig().duration_s == 3.0


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (MelConfig, {"sr": 7_999}),
        (MelConfig, {"hop_length": 0}),
        (MelConfig, {"hop_length": 1025}),
        (MelConfig, {"n_mels": 514}),
        (AudioLimits, {"min_duration_s": -1.0}),
        (AudioLimits, {"min_duration_s": 2.0, "max_duration_s": 1.0}),
        (AudioLimits, {"min_sr": 8_000, "max_sr": 4_000}),
        (AudioLimits, {"max_bytes": 1.5}),
        (AudioLimits, {"silence_rms": float("nan")}),
        (SegmentConfig, {"duration_s": 0.2}),
        (SegmentConfig, {"overlap": 1.0}),
        (SegmentConfig, {"min_fill": -0.1}),
        (CarrierConfig, {"n_impositions": 0}),
        (CarrierConfig, {"timbre": 1.1}),
        (CarrierConfig, {"edge_frames": 0.0}),
        (CarrierConfig, {"whiten_bins": 0}),
        (CarrierConfig, {"n_bands": True}),
        (InversionConfig, {"n_iterations": -1}),
        (InversionConfig, {"chunk_frames": 8}),
        (TransferConfig, {"content_weight": -0.01}),
        (TransferConfig, {"content_weight": float("nan")}),
        (TransferConfig, {"content_weight": "0.5"}),
        (TransferConfig, {"n_iterations": -1}),
        (TransferConfig, {"learning_rate": 0.0}),
        (TransferConfig, {"seed": -1}),
        (TransferConfig, {"local_norm_frames": 20}),
        (TransferConfig, {"style_lags": (1, 0)}),
        (TransferConfig, {"style_lags": (1, 1)}),
        (TransferConfig, {"window_s": 5.0}),
        (TransferConfig, {"window_s": 12.0, "window_overlap_s": 3.1}),
        (TransferConfig, {"style_weight": float("inf")}),
        (OutputConfig, {"sample_rate": 4_000}),
        (OutputConfig, {"loudness_lufs": 1.0}),
        (OutputConfig, {"max_true_peak_dbtp": 0.1}),
        (ClassifierConfig, {"n_layers": 0}),
        (ClassifierConfig, {"dropout": 1.0}),
        (TrainingConfig, {"n_epochs": 0}),
        (TrainingConfig, {"batch_size": 2.5}),
        (TrainingConfig, {"seed": -1}),
        (TrainingConfig, {"validation_share": 0.6}),
        (TrainingConfig, {"weight_decay": float("nan")}),
    ],
)
def test_a_value_outside_its_range_is_refused_with_class_field_and_value(kind, values):
    name, value = list(values.items())[-1]
    with pytest.raises(ConfigError) as caught:
        kind(**values)
    assert f"{kind.__name__}.{name} = {value!r}" in str(caught.value)
    assert caught.value.code == "bad_config"


@pytest.mark.parametrize(
    ("kind", "name"),
    [(TransferConfig, "start"), (OutputConfig, "format"), (ClassifierConfig, "kind")],
)
def test_an_unknown_choice_is_refused_with_the_known_ones(kind, name):
    with pytest.raises(
        ConfigError, match=rf"{name} = 'polka' is not one of {getattr(kind(), name)}|, "
    ):
        kind(**{name: "polka"})


@pytest.mark.parametrize("name", ["content_layers", "style_layers"])
def test_a_transfer_without_a_layer_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        TransferConfig(**{name: ()})


def test_a_transfer_that_weighs_nothing_is_refused():
    with pytest.raises(ConfigError, match="both 0"):
        TransferConfig(content_weight=0.0, style_weight=0.0)
    TransferConfig(content_weight=0.0)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_overrides_and_stays_what_it_was(name):
    changed = preset(name, seed=25, n_iterations=3)
    assert (changed.seed, changed.n_iterations) == (25, 3)
    assert changed.start == PRESETS[name].start
    assert preset(name) == PRESETS[name]


def test_the_default_preset_is_real_and_carried_by_the_ambience():
    assert DEFAULT_PRESET == "real"
    assert preset("real") == TransferConfig()
    assert preset("real").start == "carrier"
    assert preset("mel").start == "music"


def test_an_unknown_preset_or_a_bad_override_is_refused():
    with pytest.raises(ConfigError, match="'polka' is not one of real, closed"):
        preset("polka")
    with pytest.raises(ConfigError, match="seed = -3"):
        preset("real", seed=-3)


@pytest.mark.parametrize("strength", [1.01, -0.01, float("nan"), True, None])
def test_a_strength_outside_0_to_1_is_refused(strength):
    with pytest.raises(ConfigError, match=rf"strength = {strength!r} is outside 0..1"):
        check_strength(strength)
    for good in (0, 0.5, 1.0):
        check_strength(good)
