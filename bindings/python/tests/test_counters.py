# SPDX-License-Identifier: MIT
"""Counters as a mapping, and as Prometheus reads them."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import prometheus_client
import prometheus_client.parser
import pytest
from clients import Client
from prometheus_client.core import CounterMetricFamily
from waiting import pump

from dtlslisten import Counters, Listener

NAMES = ("received", "replied", "accepted", "opened", "conns", "sent")


def listen(**options: Any) -> Listener:
    """On a free port."""
    return Listener("127.0.0.1", 0, self_signed=True, **options)


def test_mapping() -> None:
    """Names, number and values agree."""
    with listen() as listener:
        counters = listener.counters
        assert isinstance(counters, Mapping)
        names = list(counters)
        assert len(counters) == len(names) == len(set(names)) > 50
        assert set(NAMES) < set(names)
        assert dict(counters) == dict(counters.items())
        assert list(counters.keys()) == names
        assert list(counters.values()) == [counters[name] for name in names]
        assert all(type(counters[name]) is int for name in names)
        assert "opened" in counters
        assert "nosuch" not in counters
        assert counters.get("nosuch", 7) == 7
        for wrong in ("nosuch", "", "opened "):
            with pytest.raises(KeyError) as caught:
                counters[wrong]
            assert caught.value.args == (wrong,)


def test_each_look_is_one_question() -> None:
    """dict() takes no time that grows with the square of their number."""
    with listen() as listener:
        counters, asked = listener.counters, 0
        count, ask = len(counters), counters._at

        def counting(*given: Any) -> int:
            nonlocal asked
            asked += 1
            return int(ask(*given))

        counters._at = counting
        assert len(dict(counters)) == count
        assert asked <= 4 * count


def test_it_is_live() -> None:
    """Each look asks the library."""
    with listen() as listener, Client(listener.address) as client:
        before = dict(listener.counters)
        assert before["opened"] == before["received"] == 0
        pump(listener, client.is_open)
        counters = listener.counters
        assert counters["replied"] == counters["hello_verify_sent"] == 1
        assert counters["accepted"] == counters["opened"] == 1
        assert counters["conns"] == 1
        assert counters["received"] > 2


def test_strategies_have_their_own() -> None:
    """They bear the strategy's name."""
    with listen() as listener:
        own = [name for name in listener.counters if "cookie_hmac_" in name]
        assert own
        assert all(listener.counters[name] >= 0 for name in own)


def families(text: str) -> dict[str, float]:
    """As prometheus_client reads it."""
    return {
        sample.name: sample.value
        for family in prometheus_client.parser.text_string_to_metric_families(
            text
        )
        for sample in family.samples
    }


def test_prometheus_text() -> None:
    """A foreign parser finds all of them."""
    with listen() as listener, Client(listener.address) as client:
        pump(listener, client.is_open)
        found = families(listener.counters.prometheus())
        counters = listener.counters
        for name in NAMES:
            assert any(
                re.fullmatch(f"dtlslisten_{name}(_total)?", known)
                and value == counters[name]
                for known, value in found.items()
            ), name


class Collector:
    """The recipe of the documentation."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What a registry asks for."""
        for name, value in self._counters.items():
            yield CounterMetricFamily(f"dtlslisten_{name}", name, value=value)


def test_prometheus_client() -> None:
    """Three lines, and a registry shows them."""
    with listen() as listener, Client(listener.address) as client:
        pump(listener, client.is_open)
        registry = prometheus_client.CollectorRegistry()
        registry.register(Collector(listener.counters))
        text = prometheus_client.generate_latest(registry).decode()
        found = families(text)
        assert found["dtlslisten_opened_total"] == 1
        assert len(found) >= len(listener.counters)
