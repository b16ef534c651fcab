# SPDX-License-Identifier: MIT
"""Waiting for a condition, with a generous limit, in every kind of loop."""
from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, Optional

from dtlslisten import Event, Listener

__all__ = ["LIMIT", "pump", "until"]

LIMIT = float(os.environ.get("DTLSL_LIMIT", "60"))
_STEP = 0.002


def _failed(condition: Callable[[], Any]) -> AssertionError:
    code = condition.__code__
    return AssertionError(
        f"not within {LIMIT} s: the condition in line {code.co_firstlineno}"
        f" of {code.co_filename}"
    )


async def until(condition: Callable[[], Any]) -> None:
    """Waits until it is true, while the loop runs."""
    end = time.monotonic() + LIMIT * 0.9
    while not condition():
        if time.monotonic() > end:
            raise _failed(condition)
        await asyncio.sleep(_STEP)


def pump(
    listener: Listener,
    condition: Callable[[], Any],
    on_event: Optional[Callable[[Event], Any]] = None,
) -> None:
    """Pulls events until it is true; each goes to on_event."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise _failed(condition)
        listener.poll(_STEP)
        event = listener.next()
        while event is not None:
            if on_event is not None:
                on_event(event)
            event = listener.next()
