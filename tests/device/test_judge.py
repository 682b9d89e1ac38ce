"""What is said of rounds: throttling, governor, load, lost connections; nothing of a quiet machine."""

import pytest

from edgedistill.device.judge import device_warnings, throttling
from edgedistill.device.results import DeviceFacts, DeviceRound, DeviceState

FACTS = DeviceFacts(system="Linux", architecture="aarch64", bits=64, model="Raspberry Pi 4", cpu="0xd08", cores=4, features=(),
                    ram_bytes=2**30, python="3.11", numpy="2.0", onnxruntime="1.20", is_emulated=False)


def _state(hz: float = 1.8e9, heat: float = 50.0, **changes: object) -> DeviceState:
    values = {"governors": ("performance",), "frequencies_hz": {"cpu3": hz, "cpu0": 6e8},
              "temperatures_c": {"cpu-thermal 0": heat, "battery 1": 300.0}, "throttling": (), "load_average": 0.1}
    return DeviceState.model_validate(values | changes)


def _round(before: DeviceState, after: DeviceState | None = None) -> DeviceRound:
    return DeviceRound(cpus=(3,), load_s=0.1, first_run_s=0.01, warmup_s=(), samples_s=(0.01,) * 10, peak_rss_bytes=2, energy_j=None,
                       baseline_rss_bytes=1, before=before, after=after or before)


def test_warnings_when_the_device_is_quiet_then_are_none() -> None:
    assert device_warnings(FACTS, [_round(_state())] * 3) == ()


@pytest.mark.parametrize(("after", "words"), [
    (_state(hz=1.0e9), "the clock fell from 1800 to 1000 MHz in round 2"),
    (_state(throttling=("firmware 0x50005",)), "throttled: firmware 0x50005"),
    (_state(heat=82.0), "82 C is where boards begin to lower their clock"),
])
def test_throttling_when_something_says_it_then_is_said_once(after: DeviceState, words: str) -> None:
    (sentence,) = throttling([_round(_state()), _round(_state(), after)])
    assert words in sentence


def test_warnings_when_the_governor_follows_the_load_then_names_it() -> None:
    (sentence,) = device_warnings(FACTS, [_round(_state(governors=("ondemand",)))] * 2)
    assert "'ondemand'" in sentence


def test_warnings_when_clocks_are_not_told_then_says_that_throttling_is_unknown() -> None:
    (sentence,) = device_warnings(FACTS, [_round(_state(frequencies_hz={}))] * 2)
    assert "not known" in sentence


def test_warnings_when_busy_and_reconnected_then_says_both() -> None:
    found = device_warnings(FACTS, [_round(_state(load_average=3.0))] * 2, reconnections=2)
    assert "load average was 3.0" in found[0]
    assert "lost 2 time(s)" in found[1]


def _timed(*medians: float, runs: int = 10) -> list[DeviceRound]:
    quiet = _round(_state())
    return [quiet.model_copy(update={"samples_s": (median,) * runs}) for median in medians]


def test_warnings_when_rounds_get_slower_all_along_then_says_that_it_drifts() -> None:
    # 1 % a round of eight: 7 % over the median of 1.035, tau = 1; less than the 10 % from which on rounds are noisy
    (sentence,) = device_warnings(FACTS, _timed(*(0.01 * (1 + 0.01 * i) for i in range(8))))
    assert sentence.startswith("the rounds got 7% slower from the first to the last")


def test_warnings_when_runs_have_two_speeds_then_says_so() -> None:
    rounds = [found.model_copy(update={"samples_s": (0.010,) * 20 + (0.013,) * 20}) for found in _timed(*[0.01] * 3)]
    (sentence,) = device_warnings(FACTS, rounds)
    assert sentence.startswith("the runs have 2 modes, 10 ms (50%) and 13 ms (50%)")


def test_warnings_when_there_are_more_threads_than_cores_then_says_so() -> None:
    assert device_warnings(FACTS, _timed(0.01, 0.01), threads=4) == ()
    (sentence,) = device_warnings(FACTS, _timed(0.01, 0.01), threads=8)
    assert sentence.startswith("8 threads share 4 cores")


def test_warnings_when_emulated_then_only_that_counts() -> None:
    (sentence,) = device_warnings(FACTS.model_copy(update={"is_emulated": True}), [])
    assert "void" in sentence
