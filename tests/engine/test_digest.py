"""What goes out one by one, and what as one message."""

from __future__ import annotations

from tests.outbox import down
from tocsin.domain.alert import Event, Facts
from tocsin.domain.monitor import SECOND
from tocsin.engine.digest import LARGEST, Floods, Message, as_sent
from tocsin.store.outbox import Waiting

CHANNEL = 1
NOW = 1_000 * SECOND


def waiting(
    *monitors: int | None, first_id: int = 1, batch: str | None = None, at: int = NOW
) -> list[Waiting]:
    """One notification for each of the monitors, in this order."""
    return [
        Waiting(number, f"uid-{number}", CHANNEL, monitor, batch, at)
        for number, monitor in enumerate(monitors, first_id)
    ]


def floods() -> Floods:
    return Floods(5, 10)


def send(floods: Floods, rows: list[Waiting], now: int = NOW) -> list[Message]:
    """Choose, and note what was chosen as sent."""
    messages = floods.choose(CHANNEL, rows, now)
    for message in messages:
        floods.note(CHANNEL, message, now)
    return messages


def singles(*ids: int) -> list[Message]:
    return [Message((one,), None) for one in ids]


def test_up_to_five_go_out_one_by_one() -> None:
    assert send(floods(), waiting(1, 2, 3, 4, 5)) == singles(1, 2, 3, 4, 5)


def test_more_than_five_become_one_message() -> None:
    assert send(floods(), waiting(1, 2, 3, 4, 5, 6)) == [Message((1, 2, 3, 4, 5, 6), "uid-1")]


def test_the_sixth_within_ten_seconds_is_the_begin_of_a_digest() -> None:
    flood = floods()
    send(flood, waiting(1, 2, 3))
    assert send(flood, waiting(4, 5, 6, first_id=4), NOW + 9 * SECOND) == [Message((4, 5, 6), "uid-4")]


def test_ten_seconds_later_they_go_out_one_by_one_again() -> None:
    flood = floods()
    send(flood, waiting(1, 2, 3, 4, 5))
    assert send(flood, waiting(6, first_id=6), NOW + 10 * SECOND) == singles(6)


def test_after_a_digest_the_next_comes_ten_seconds_later_at_the_earliest() -> None:
    flood = floods()
    send(flood, waiting(*range(6)))
    more = waiting(*range(6, 12), first_id=7)
    assert send(flood, more, NOW + SECOND) == []
    assert flood.held_back(NOW + SECOND) == {CHANNEL: NOW + 10 * SECOND}
    assert send(flood, more, NOW + 10 * SECOND) == [Message((7, 8, 9, 10, 11, 12), "uid-7")]
    assert flood.held_back(NOW + 10 * SECOND) == {}


def test_a_flood_is_cut_where_a_message_would_be_too_long() -> None:
    messages = send(floods(), waiting(*range(LARGEST + 1)))
    assert [len(message.ids) for message in messages] == [LARGEST, 1]


def test_one_by_one_a_monitors_next_waits() -> None:
    assert send(floods(), waiting(1, 1, 2)) == singles(1, 3)


def test_in_a_digest_it_follows() -> None:
    assert send(floods(), waiting(1, 1, 2, 2, 3, 3)) == [Message((1, 2, 3, 4, 5, 6), "uid-1")]


def test_alerts_about_no_monitor_do_not_wait_for_each_other() -> None:
    assert send(floods(), waiting(None, None)) == singles(1, 2)


def test_nothing_overtakes_what_is_being_sent_or_waits_for_a_retry() -> None:
    rows = [*waiting(1, at=NOW + SECOND), *waiting(1, 2, first_id=2)]
    assert send(floods(), rows) == singles(3)


def test_a_digest_that_is_tried_again_has_the_members_it_had() -> None:
    rows = [*waiting(*range(6), batch="uid-1"), *waiting(7, first_id=7)]
    assert send(floods(), rows) == [Message((1, 2, 3, 4, 5, 6), "uid-1"), *singles(7)]


def test_a_clock_that_was_set_back_holds_nothing_back() -> None:
    flood = floods()
    send(flood, waiting(*range(6)))
    send(flood, waiting(*range(6), first_id=7), NOW + SECOND)
    earlier = NOW - 3_600 * SECOND
    assert flood.held_back(earlier) == {}
    rows = waiting(*range(6), first_id=7, at=earlier)
    assert len(send(flood, rows, earlier)) == 1


def test_what_was_long_ago_is_forgotten() -> None:
    flood = floods()
    for channel_id in range(3_000):
        flood.note(channel_id, Message((1,), None), NOW + channel_id * SECOND)
    assert len(flood._singles) <= 1_001


def test_a_digests_id_stays_when_its_first_member_is_withdrawn() -> None:
    facts = [Facts(id=name, event=Event.DOWN, at=down(1).flip.at, message="m") for name in ("b", "c")]
    assert [one.id for one in as_sent(facts, "a")] == ["a", "c"]
    assert as_sent(facts, "b") == facts
    assert as_sent(facts[:1], None) == facts[:1]
