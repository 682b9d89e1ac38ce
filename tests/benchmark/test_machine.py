"""Cores and energy, from folders that look like the system's."""

import os

import pytest

from edgedistill.benchmark.machine import choose_cores, energy_uj, stay_on, thread_warnings
from edgedistill.device.runner import fastest


@pytest.fixture
def big_little(tmp_path):
    for core, khz in enumerate([1_800_000] * 4 + [2_400_000] * 2):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{khz}\n")
    return tmp_path


def test_cores_when_there_are_two_kinds_then_the_fast_ones(big_little):
    assert choose_cores(1, allowed=frozenset(range(6)), cpus=big_little) == (5,)
    assert choose_cores(3, allowed=frozenset(range(6)), cpus=big_little) == (3, 4, 5)
    assert choose_cores(1, allowed=frozenset({0, 2}), cpus=big_little) == (2,)


def test_cores_when_clocks_are_not_told_then_the_last(tmp_path):
    assert choose_cores(2, allowed=frozenset(range(4)), cpus=tmp_path) == (2, 3)


@pytest.mark.parametrize("pairs", ["{low},{high}", "{low}-{high}"])
def test_cores_when_they_are_hyperthreads_then_one_of_each_core_before_a_second(tmp_path, pairs):
    apart = 4 if "," in pairs else 1  # how systems number them: 0 and 4 are one core, or 0 and 1
    for core in range(8):
        low = core % 4 if apart == 4 else core - core % 2
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(pairs.format(low=low, high=low + apart) + "\n")
    first = (4, 5, 6, 7) if apart == 4 else (1, 3, 5, 7)
    second = 3 if apart == 4 else 6
    for choose in (
        lambda threads, allowed: choose_cores(threads, allowed=frozenset(allowed), cpus=tmp_path),
        lambda threads, allowed: tuple(sorted(fastest(list(allowed), threads, str(tmp_path)))),
    ):
        assert choose(1, range(8)) == (7,)
        assert choose(4, range(8)) == first
        assert choose(5, range(8)) == tuple(sorted((*first, second)))
        assert choose(2, (0, 1, 2, 3)) == ((2, 3) if apart == 4 else (1, 3))


@pytest.mark.parametrize(("threads", "said"), [(4, ()), (5, ("5 threads share 4 cores and wait for each other; set "
                                                          "benchmark.threads to 4 or less",))])
def test_thread_warnings_when_there_are_more_threads_than_cores_then_says_so(threads, said):
    assert thread_warnings(threads, 4) == said


def test_cores_when_there_are_fewer_than_threads_then_none_is_forced(tmp_path):
    assert choose_cores(3, allowed=frozenset({0, 1}), cpus=tmp_path) == ()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not keep processes to cores")
def test_stay_on_when_given_a_core_then_this_process_is_there():
    before = os.sched_getaffinity(0)
    try:
        stay_on((min(before),))
        assert os.sched_getaffinity(0) == {min(before)}
        stay_on(())
        assert os.sched_getaffinity(0) == {min(before)}
    finally:
        os.sched_setaffinity(0, before)


def test_energy_when_two_packages_count_then_their_sum_without_the_parts_of_a_package(tmp_path):
    for zone, value in (("intel-rapl:0", 1_000), ("intel-rapl:1", 500), ("intel-rapl:0:0", 999)):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(f"{value}\n")
    assert energy_uj(tmp_path) == 1_500


def test_energy_when_the_platform_has_a_zone_too_then_it_is_not_added(tmp_path):
    for zone, name, value in (("intel-rapl:0", "package-0", 1_000), ("intel-rapl:1", "psys", 1_800)):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{value}\n")
    assert energy_uj(tmp_path) == 1_000


def test_energy_when_there_is_no_counter_or_one_cannot_be_read_then_none(tmp_path):
    assert energy_uj(tmp_path) is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert energy_uj(tmp_path) is None
