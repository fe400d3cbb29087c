"""Members killed at random while others go on; see kill_storm.py for what is promised and checked.

COHELD_STORM_KILLS sets the number of kills; `make crash` runs the full storm of 2,000.
"""

from __future__ import annotations

import os

import kill_storm
import mishap_storm
import pytest
import subject
import waiting_storm

KILLS = int(os.environ.get("COHELD_STORM_KILLS", "150"))


FULL = "COHELD_STORM_KILLS" in os.environ


@pytest.mark.timeout(120 + KILLS)
def test_kill_storm(capsys):
    told = kill_storm.storm(KILLS, seed=1, births=FULL)
    with capsys.disabled():
        print(f"\n{told}")


@pytest.mark.timeout(180 + KILLS)
def test_two_members_killed_all_the_time():
    """With few members, most kills leave the survivor alone with what the dead one held."""
    kill_storm.storm(max(KILLS // 3, 20), members=2, seed=2)


@pytest.mark.skipif(subject.IS_STOCK, reason="its members wait for the locks of the dead")
@pytest.mark.timeout(240 + KILLS)
def test_mishap_storm(capsys):
    """Kills, stops, forks, daemons, exits, other programs, closed descriptors."""
    told = mishap_storm.storm(KILLS, seed=4)
    with capsys.disabled():
        print(f"\n{told}")


@pytest.mark.skipif(subject.IS_STOCK, reason="its members wait for the locks of the dead")
@pytest.mark.timeout(240 + KILLS)
def test_crowded_storm():
    """Nobody is taken for dead by those that have no descriptor left to look at them."""
    mishap_storm.storm(max(KILLS // 3, 40), seed=5, kind=mishap_storm.CrowdedStorm)


@pytest.mark.skipif(subject.IS_STOCK, reason="a lock of the dead is never free again there")
@pytest.mark.timeout(240 + KILLS)
def test_waiting_storm(capsys):
    """Producers, consumers and holders of locks; see waiting_storm.py."""
    told = kill_storm.storm(KILLS, seed=3, births=FULL, kind=waiting_storm.WaitingStorm)
    with capsys.disabled():
        print(f"\n{told}")
