# SPDX-License-Identifier: MIT
"""100,000 short sessions leave nothing behind."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from clients import IDENTITY, KEY

WARM_UP = 2000
SESSIONS = int(os.environ.get("DTLSL_SESSIONS", "100000"))


def test_many_short_sessions(psk_file: Path) -> None:
    """The library holds as many bytes as before, and the process has grown by
    less than a fifth."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("sessions.py"))]
        + [str(psk_file), f"{IDENTITY}:{KEY}", str(WARM_UP), str(SESSIONS)],
        env={**os.environ, "LD_PRELOAD": os.environ["DTLSL_LIVE_BYTES"]},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0
    seen = json.loads(done.stdout)
    print(seen)
    before, after = seen["before"], seen["after"]
    assert seen["opened"] == WARM_UP + SESSIONS
    assert before["live"] > 1_000_000
    assert after["live"] == before["live"]
    assert after["resident"] <= 1.2 * before["resident"]
