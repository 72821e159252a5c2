"""Calls made in a thread that has ended when they return."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0  # seconds, for what takes none


def in_thread(call: Callable[[], object]) -> list[object]:
    """What `call` returned; nothing where it raised or hangs."""
    said: list[object] = []
    thread = threading.Thread(target=lambda: said.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return said
