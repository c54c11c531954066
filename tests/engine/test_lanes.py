"""Hosts take turns, and none gets more than its share."""

from __future__ import annotations

from tocsin.engine.lanes import Destination, Lanes, Parcel
from tocsin.store.channels import ChannelRow
from tocsin.store.outbox import Leased


def parcel(host: str, number: int = 1) -> Parcel:
    channel = ChannelRow(number, "c", 1, "webhook", "c", "", "", True, True, None, None, 0, 0, 0)
    return Parcel(Destination(channel, host, {}), (Leased(number, "u", "", 0),), None, 0, 0)


def taken(lanes: Lanes) -> list[Parcel]:
    """All that may be sent now."""
    found = []
    while (one := lanes.take()) is not None:
        found.append(one)
    return found


def hosts(parcels: list[Parcel]) -> str:
    return "".join(one.destination.host for one in parcels)


def filled(lanes: Lanes, *names: str) -> Lanes:
    for number, host in enumerate("".join(names)):
        lanes.add(parcel(host, number))
    return lanes


def test_so_many_for_each_host() -> None:
    assert hosts(taken(filled(Lanes(2, 100), "aaaa", "b"))) == "aba"


def test_so_many_in_all() -> None:
    assert len(taken(filled(Lanes(2, 3), "aa", "bb"))) == 3


def test_what_is_done_makes_room_for_the_next_of_its_host() -> None:
    lanes = filled(Lanes(1, 100), "aa")
    [first] = taken(lanes)
    lanes.done(first)
    assert hosts(taken(lanes)) == "a"
    assert (lanes.active, lanes.waiting) == (1, 0)


def test_hosts_take_turns_where_all_places_are_taken() -> None:
    lanes = filled(Lanes(2, 2), "aaaaa", "b")
    [first, _] = taken(lanes)
    lanes.done(first)
    lanes.add(parcel("c"))
    [second] = taken(lanes)
    lanes.done(second)
    assert hosts([second, *taken(lanes)]) in {"ac", "ca"}


def test_twice_as_many_may_wait() -> None:
    lanes = filled(Lanes(2, 4), "aaaaa")
    taken(lanes)
    room = lanes.room()
    assert (room.in_all, room.by_host["a"], room.has("a"), room.has("b")) == (7, 1, True, True)
    room.use("a")
    assert not room.has("a")


def test_channels_that_wait_for_a_host_without_room_are_known() -> None:
    lanes = filled(Lanes(1, 4), "aaa")
    taken(lanes)
    assert lanes.room().full_channels == {1, 2}


def test_what_waits_can_be_taken_out() -> None:
    lanes = filled(Lanes(1, 4), "aa", "b")
    [first, _] = taken(lanes)
    assert hosts(lanes.empty()) == "a"
    lanes.done(first)
    assert (lanes.active, lanes.waiting, lanes.take()) == (1, 0, None)
