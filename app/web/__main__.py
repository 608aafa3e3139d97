"""`python -m web`: serves until SIGTERM, then finishes what is in flight and ends."""

import signal
import sys

# As process 1 of a container nobody sets a default for us: without this a SIGTERM during the imports below is lost.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from web.server import serve  # noqa: E402
from web.settings import Settings  # noqa: E402

if __name__ == "__main__":
    serve(Settings.from_environment())
