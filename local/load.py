"""Endpoints of the load mode: made, changed and read, as the model server lets a test do (examples/endpoint)."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from local import settings


@dataclass(frozen=True)
class LoadEndpoint:
    """An endpoint that only one job uses, so that it has seen the calls of that job alone."""

    name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:12]}")

    def change(self, **changes: float) -> "LoadEndpoint":
        """From now on: latency (ms), slots, capacity (calls above it get 429), failEvery."""
        httpx.post(f"{settings.ENDPOINT_URL}/load/{self.name}", json=changes).raise_for_status()
        return self

    def load(self) -> dict[str, int]:
        """Calls, refused ones, in flight now and at most."""
        return dict(httpx.get(f"{settings.ENDPOINT_URL}/stats").json()["endpoints"][self.name])

    def calls(self) -> list[dict[str, Any]]:
        """Each call in its turn: asset_id, began_at and ended_at (ms), status."""
        return list(httpx.get(f"{settings.ENDPOINT_URL}/calls/{self.name}").json()["calls"])
