# SPDX-License-Identifier: MIT
"""Cookie strategies that are written in Python."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional, Union

import pytest
from clients import Client, gnutls_cli, s_client
from strategies import Signed
from waiting import pump

import dtlslisten
from dtlslisten import (
    CookieInput,
    CookieResult,
    CookieStatus,
    CookieStrategy,
    Event,
    Listener,
    Refused,
    cookies,
)

HOST = "127.0.0.1"


@contextmanager
def unraisable() -> Iterator[list[Any]]:
    """What goes to sys.unraisablehook meanwhile."""
    seen: list[Any] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda args: seen.append(args.exc_value)
    try:
        yield seen
    finally:
        sys.unraisablehook = before


def listen(cookie: Any, **options: Any) -> Listener:
    """On a free port."""
    return Listener(HOST, 0, self_signed=True, cookie=cookie, **options)


def echo(event: Event) -> None:
    """What most tests do with events."""
    if event.type == "data":
        event.conn.send(event.data)


def let_in(listener: Listener) -> Any:
    """A client makes its handshake; its connection."""
    with Client(listener.address) as client:
        pump(listener, client.is_open)
        return listener.connections[-1]


def turned_away(listener: Listener, counter: str) -> None:
    """A client does not; the counter says why."""
    before = listener.counters[counter]
    with Client(listener.address) as client:
        pump(
            listener,
            lambda: client.step() and listener.counters[counter] > before,
        )
        assert not client.established
    assert listener.connections == []


@pytest.mark.parametrize("client", [s_client, gnutls_cli])
def test_real_clients(client: Any) -> None:
    """They bring back what mint() made."""
    strategy = Signed()
    with listen(strategy) as listener, client(listener.address) as program:
        program.say("hello")
        pump(listener, lambda: program.saw("hello"), echo)
        assert listener.counters["cookie_valid"] == 1
    assert strategy.closed == 1
    assert strategy.errors == 0


def test_what_a_strategy_is_told() -> None:
    """Addresses, the hello's core and tail, both clocks."""
    strategy = Signed()
    with listen(strategy) as listener:
        mono, unix = strategy.minted[-1].mono_ms, strategy.minted[-1].unix_ms
        conn = let_in(listener)
        for hello in (strategy.minted[-1], strategy.verified[-1]):
            assert hello.peer == conn.peer
            assert hello.local == listener.address
            assert len(hello.peer_bytes) == 24
            assert hello.core[:2] == b"\xfe\xfd"
            assert 35 <= len(hello.core) <= 67
            assert hello.tail is not None and len(hello.tail) > 4
            assert hello.app == b""
            assert not hello.fragmented
            assert hello.mono_ms >= mono and hello.unix_ms >= unix
        assert strategy.minted[-1].core == strategy.verified[-1].core


def test_facts_reach_the_connection() -> None:
    """Age and application data of a CookieResult."""

    class Aged(Signed):
        """Says what it likes."""

        def verify(
            self, hello: CookieInput, cookie: bytes
        ) -> Union[bool, CookieStatus, CookieResult]:
            """An age of 1.5 s."""
            answer = super().verify(hello, cookie)
            if isinstance(answer, CookieResult):
                return CookieResult(age_ms=1500, app=b"tenant-3", node=9)
            return answer

    with listen(Aged()) as listener:
        conn = let_in(listener)
        assert conn.cookie_age == 1.5
        assert conn.cookie_app == b"tenant-3"


def test_options_reach_the_strategy() -> None:
    """cookie_options, with and without its name."""
    strategy = Signed()
    with listen(strategy, cookie_options={"lifetime-ms": 7}):
        assert strategy.options == {"lifetime-ms": "7"}
    with listen(
        ["hmac", strategy],
        cookie_options={"lifetime-ms": 20000, "signed.lifetime-ms": 8},
    ):
        assert strategy.options == {"lifetime-ms": "8"}
    assert strategy.lifetime_ms == 8


def test_open_that_raises() -> None:
    """Its text is in the error."""
    for options, text in (
        ({"colour": "red"}, "no option 'colour'"),
        ({"lifetime-ms": "soon"}, "soon"),
    ):
        with pytest.raises(dtlslisten.ConfigError) as caught:
            listen(Signed(), cookie_options=options)
        assert text in str(caught.value)


def test_open_that_raises_a_long_text() -> None:
    """It is cut, also between the bytes of a character."""

    class Wordy(Signed):
        """Says much."""

        def open(self, options: dict[str, str]) -> None:
            """No."""
            raise ValueError("ä" * 5000)

    with pytest.raises(dtlslisten.ConfigError, match="ää"):
        listen(Wordy())


def test_chain_with_hmac() -> None:
    """The first mints, all verify."""
    strategy = Signed()
    with listen(["hmac", strategy]) as listener:
        before = len(strategy.minted)
        let_in(listener)
        assert len(strategy.minted) == before
    strategy = Signed()
    with listen([strategy, "hmac"]) as listener:
        before = len(strategy.minted)
        let_in(listener)
        assert len(strategy.minted) == before + 1


def test_two_strategies_of_python() -> None:
    """Each with its own name."""

    class Other(Signed):
        """The same by another name."""

        name = "other"
        max_cookie_len = 20

    first, second = Signed(), Other()
    with listen([first, second]) as listener:
        let_in(listener)
    assert first.closed == second.closed == 1
    with pytest.raises(dtlslisten.ConfigError, match="signed"):
        listen([Signed(), Signed()])


def test_one_strategy_of_two_listeners() -> None:
    """It is opened and closed twice."""
    strategy = Signed()
    with listen(strategy) as one, listen(strategy) as two:
        let_in(one)
        let_in(two)
    assert strategy.closed == 2


class Switched(Signed):
    """A good one until ``bad`` is set: then mint() or verify() do that."""

    def __init__(self) -> None:
        super().__init__()
        self.bad_mint: Any = None
        self.bad_verify: Any = None

    def mint(self, hello: CookieInput) -> Any:
        """Or something else."""
        if self.bad_mint is not None:
            return self.bad_mint(hello)
        return super().mint(hello)

    def verify(self, hello: CookieInput, cookie: bytes) -> Any:
        """Or something else."""
        if self.bad_verify is not None:
            return self.bad_verify(hello)
        return super().verify(hello, cookie)


def raising(error: BaseException) -> Any:
    """A function that does."""

    def function(hello: CookieInput) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    "made",
    [b"", b"x" * 21, b"x" * 256, "text", None, -1, 5, [300]],
    ids=repr,
)
def test_mint_that_makes_no_cookie(made: Any) -> None:
    """Nothing is sent, and the server lives."""
    strategy = Switched()
    with unraisable() as shown, listen(strategy) as listener:
        strategy.bad_mint = lambda hello: made
        turned_away(listener, "drop_strategy")
        assert listener.counters["replied"] == 0
        strategy.bad_mint = None
        let_in(listener)
    assert strategy.errors >= 1
    assert len(shown) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        0,
        8,
        -1,
        "yes",
        b"\1",
        object(),
        CookieResult(age_ms=-1),
        CookieResult(age_ms=2**32),
        CookieResult(node=2**32),
        CookieResult(app=b"x" * 233),
        CookieResult(app="text"),  # type: ignore[arg-type]
        CookieResult(status=99),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_verify_that_answers_nonsense(answer: Any) -> None:
    """It is no yes."""
    strategy = Switched()
    with unraisable() as shown, listen(strategy) as listener:
        strategy.bad_verify = lambda hello: answer
        turned_away(listener, "drop_strategy")
        strategy.bad_verify = None
        let_in(listener)
    assert strategy.errors >= 1
    assert len(shown) == 1


@pytest.mark.parametrize("method", ["bad_mint", "bad_verify"])
@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), SystemExit(1), KeyboardInterrupt()]
)
def test_exceptions(method: str, error: BaseException) -> None:
    """They refuse the peer; the first is shown, all are counted."""
    strategy = Switched()
    with unraisable() as shown, listen(strategy) as listener:
        setattr(strategy, method, raising(error))
        turned_away(listener, "drop_strategy")
        turned_away(listener, "drop_strategy")
        setattr(strategy, method, None)
        let_in(listener)
    assert shown == [error]
    assert strategy.errors >= 2


@pytest.mark.parametrize("method", ["bad_mint", "bad_verify"])
def test_refused(method: str) -> None:
    """A policy is no error."""
    strategy = Switched()
    with unraisable() as shown, listen(strategy) as listener:
        setattr(strategy, method, raising(Refused()))
        turned_away(listener, "drop_refused")
        setattr(strategy, method, None)
        let_in(listener)
    assert shown == []
    assert strategy.errors == 0


def test_close_that_raises() -> None:
    """The end comes all the same."""

    class Sticky(Signed):
        """Does not want to go."""

        def close(self) -> None:
            """No."""
            raise RuntimeError("stay")

    with unraisable() as shown, listen(Sticky()) as listener:
        address = listener.address
    assert [str(error) for error in shown] == ["stay"]
    with Listener(*address, self_signed=True):
        pass


@pytest.mark.parametrize("status", list(CookieStatus))
def test_every_status_is_counted(status: CookieStatus) -> None:
    """By its name; only VALID lets in."""
    strategy = Switched()
    with listen(strategy) as listener:
        strategy.bad_verify = lambda hello: status
        counter = f"cookie_{status.name.lower()}"
        if status is CookieStatus.VALID:
            let_in(listener)
            assert listener.counters[counter] == 1
        else:
            turned_away(listener, counter)


@pytest.mark.parametrize("yes", [True, CookieStatus.VALID, CookieResult()])
def test_ways_to_say_yes(yes: Any) -> None:
    """All of them let in."""
    strategy = Switched()
    with listen(strategy) as listener:
        strategy.bad_verify = lambda hello: yes
        let_in(listener)


def test_tick() -> None:
    """Before the first datagram, and when it said so."""

    class Ticking(Signed):
        """Every 20 ms."""

        ticks: list[int] = []

        def tick(self, mono_ms: int, unix_ms: int) -> Optional[int]:
            """Both clocks; the next one."""
            assert unix_ms > 1_500_000_000_000
            self.ticks.append(mono_ms)
            return mono_ms + 20

    with listen(Ticking()) as listener:
        assert len(Ticking.ticks) >= 1
        pump(listener, lambda: len(Ticking.ticks) >= 5)
        gaps = zip(Ticking.ticks, Ticking.ticks[1:])
        assert all(0 <= late - early for early, late in gaps)


@pytest.mark.parametrize("later", [None, -1, 2**64, "soon"])
def test_tick_without_a_sequel(later: Any) -> None:
    """None is never; nonsense is shown and taken for never."""

    class Once(Signed):
        """One tick."""

        ticks = 0

        def tick(self, mono_ms: int, unix_ms: int) -> Any:
            """The only one."""
            self.ticks += 1
            return later

    strategy = Once()
    with unraisable() as shown, listen(strategy) as listener:
        ticks = strategy.ticks
        assert ticks >= 1
        let_in(listener)
        assert strategy.ticks == ticks
    assert bool(shown) == (later is not None)


@pytest.mark.parametrize("name", ["", "Upper", "a" * 33, "ä", "a.b", "hmac"])
def test_names_that_are_refused(name: str) -> None:
    """The library's rule, and its own names."""

    class Named(Signed):
        """With that name."""

    Named.name = name
    with pytest.raises((dtlslisten.ConfigError, TypeError)):
        listen(Named())


@pytest.mark.parametrize("length", [0, -1, 256, 2**40])
def test_lengths_that_are_refused(length: int) -> None:
    """1 to 255."""

    class Long(Signed):
        """With that length."""

    Long.max_cookie_len = length
    with pytest.raises((dtlslisten.ConfigError, OverflowError)):
        listen(Long())


def test_a_strategy_without_methods() -> None:
    """Is refused at the start."""

    class Bare(CookieStrategy):
        """Nothing."""

        name = "bare"

    with unraisable() as shown:
        with pytest.raises(dtlslisten.ConfigError, match="bare"):
            listen(Bare())
    assert isinstance(shown[0], NotImplementedError)


def test_a_strategy_that_takes_everything() -> None:
    """The library tries it before it relies on it."""

    class Open(Signed):
        """Always yes."""

        name = "open"

        def verify(self, hello: CookieInput, cookie: bytes) -> bool:
            """Of course."""
            return True

    with pytest.raises(dtlslisten.ConfigError, match="self-test"):
        listen(Open())


def test_number_of_callbacks_is_flat() -> None:
    """One set for all strategies and listeners of the process."""
    with listen(Signed()):
        made = dict(cookies._made)
    assert len(made) == 5
    for _ in range(1000):
        listen(Signed()).close()
    with listen(Signed()) as listener:
        let_in(listener)
    assert cookies._made == made
