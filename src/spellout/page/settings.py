"""How a run is served: the settings, apart from the work, so that help needs no server.

They reach workers, which are processes of their own, through the environment.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from ..errors import UsageError

RUN, SECONDS = "SPELLOUT_RUN", "SPELLOUT_SECONDS"
ORIGINS, HOSTS = "SPELLOUT_ALLOW_ORIGIN", "SPELLOUT_ALLOW_HOST"
MOST_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a run is served."""

    seconds: float = 10.0
    """No request is worked on for longer: what was made until then is the answer."""
    allow_origin: tuple[str, ...] = ()
    """Web pages from there, such as https://example.org, may ask and read the answers; * is every page."""
    allow_host: tuple[str, ...] = ()
    """Another name under which this machine may be asked, as behind a proxy; * is every name."""

    def __post_init__(self) -> None:
        if not (0 < self.seconds <= MOST_SECONDS and math.isfinite(self.seconds)):
            raise UsageError(f"--seconds {self.seconds:g}: must be above 0 and at most {MOST_SECONDS:,.0f}")
        for origin in self.allow_origin:
            if origin != "*" and not re.fullmatch(r"https?://[^\s/,]+", origin):
                raise UsageError(
                    f"--allow-origin {origin}: an origin is a scheme and a host, such as https://example.org or "
                    "http://localhost:3000, with nothing after it; * is every one"
                )
        for host in self.allow_host:
            if host != "*" and not re.fullmatch(r"[^\s/,:]+|\[[0-9A-Fa-f:]+\]", host):
                raise UsageError(f"--allow-host {host}: a name without scheme, port or path, such as example.org")

    def to_environment(self, run: str) -> dict[str, str]:
        """Give the variables from which `from_environment` reads the same."""
        return {
            RUN: os.path.abspath(run),
            SECONDS: repr(self.seconds),
            ORIGINS: ",".join(self.allow_origin),
            HOSTS: ",".join(self.allow_host),
        }

    @classmethod
    def from_environment(cls) -> tuple[str, Serving]:
        """Read which run is to be served, and how. `UsageError` if that is not said."""
        run, seconds = os.environ.get(RUN), os.environ.get(SECONDS) or cls.seconds
        if not run:
            raise UsageError(f"{RUN} must name the folder of a run, as written by `spellout train`")
        try:
            number = float(seconds)
        except ValueError:
            raise UsageError(f"{SECONDS} is {seconds}, which is no number of seconds") from None
        origins, hosts = (_listed(os.environ.get(name, "")) for name in (ORIGINS, HOSTS))
        return run, cls(seconds=number, allow_origin=origins, allow_host=hosts)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())
