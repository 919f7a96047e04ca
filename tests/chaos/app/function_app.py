"""The app of the simulation, and an orchestration more, with effects that all processes share."""

import os
from pathlib import Path

from tests.sim import effects
from tests.sim.app.function_app import app

__all__ = ["app"]

effects.share(Path(os.environ["CHAOS_EFFECTS"]))
