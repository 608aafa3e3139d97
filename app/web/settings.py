"""What the container's environment says. The version is not in the image: relman sets it when it starts a release,
so that one image can be promoted from a candidate to a version without a new build."""

import os
import socket
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """Who this process is and where it listens."""

    service: str = "web"
    version: str = "unknown"
    commit: str = "unknown"
    deployment: str = "unknown"
    hostname: str = field(default_factory=socket.gethostname)
    address: str = "0.0.0.0"
    port: int = 8000
    stop_seconds: int = 25

    @classmethod
    def from_environment(cls) -> "Settings":
        """Reads the environment; what is missing or empty is "unknown"."""
        read = lambda name, default="unknown": os.environ.get(name) or default  # noqa: E731
        return cls(
            service=read("RELMAN_SERVICE", "web"),
            version=read("RELMAN_VERSION"),
            commit=read("RELMAN_COMMIT"),
            deployment=read("RELMAN_DEPLOYMENT"),
            port=int(read("PORT", "8000")),
        )
