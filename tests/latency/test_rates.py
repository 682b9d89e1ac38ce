"""Rates: the fitted ones by hand from peaks and constants; a profile's own ones take their place."""

import pytest

from edgedistill.catalog import load_target
from edgedistill.latency.constants import fitted_constants
from edgedistill.latency.rates import rates_of
from edgedistill.target import Figure, LatencyModel, Target


def figure(value: float) -> Figure:
    return Figure(value=value, source="a test says", how="assumed")


def own(**more: Figure) -> LatencyModel:
    return LatencyModel(int8_macs_per_s=figure(1e9), float_macs_per_s=figure(2e9), read_bytes_per_s=figure(4e9),
                        node_overhead_s=figure(1e-6), spread=figure(1.5), **more)


def with_latency(latency: LatencyModel) -> Target:
    return load_target("raspberry-pi").model_copy(update={"latency": latency})


def test_rates_of_when_fitted_then_peak_times_inefficiency_as_by_hand() -> None:
    rates, found = rates_of(load_target("raspberry-pi")), fitted_constants()
    factor = found.runtime * found.int8 * found.cores["cortex-a72"]
    assert rates.origin == "fitted"
    assert rates.int8_mac_s == pytest.approx(factor * found.matmul["smull"] / 14.4e9)  # 8 MACs a cycle at 1.8 GHz
    assert rates.float_mac_s == pytest.approx(factor * found.matmul["fp32_neon"] / 7.175e9)  # 14.35 GFLOP/s
    assert rates.byte_s == pytest.approx(factor * found.bytes / 2.326e9)
    assert rates.node_s == pytest.approx(found.node_cycles / 1.8e9)
    assert (rates.low, rates.high) == (found.low, found.high)


def test_rates_of_when_the_core_is_in_order_then_slower_by_that_factor() -> None:
    pi3, found = load_target("raspberry-pi-3"), fitted_constants()
    changed = pi3.model_copy(update={"cpu": pi3.cpu.model_copy(update={"microarchitecture": "no-such-core"})})
    ratio = rates_of(pi3).int8_mac_s / rates_of(changed).int8_mac_s
    assert ratio == pytest.approx(found.in_order * found.cores["cortex-a53"])


def test_rates_of_when_the_core_is_the_automotive_one_then_as_its_sibling() -> None:
    orin = load_target("jetson-orin-nano")
    plain = orin.model_copy(update={"cpu": orin.cpu.model_copy(update={"microarchitecture": "cortex-a78"})})
    assert orin.cpu.microarchitecture == "cortex-a78ae"
    assert rates_of(orin) == rates_of(plain)


def test_rates_of_when_the_profile_has_its_own_then_those() -> None:
    rates = rates_of(with_latency(own()))
    assert (rates.int8_mac_s, rates.float_mac_s, rates.byte_s, rates.node_s) == (1e-9, 5e-10, 2.5e-10, 1e-6)
    assert (rates.low, rates.high, rates.origin) == (1 / 1.5, 1.5, "given")
    assert (rates.glue_element_s, rates.call_s) == (0, 0)


def test_rates_of_when_calibrated_then_glue_call_and_threads_too() -> None:
    latency = own(glue_elements_per_s=figure(1e8), call_overhead_s=figure(5e-6), thread_exponent=figure(0.5))
    rates = rates_of(with_latency(latency.model_copy(update={"origin": "calibrated"})))
    assert (rates.glue_element_s, rates.call_s, rates.thread_exponent, rates.origin) == (1e-8, 5e-6, 0.5, "calibrated")


def test_fitted_constants_when_read_then_from_many_devices_and_an_interval_around_one() -> None:
    found = fitted_constants()
    assert found.points > 1500
    assert found.devices > 40
    assert found.low < 1 < found.high
    assert set(found.in_order_cores) >= {"cortex-a53", "cortex-a55"}
