"""Whether this process can do its work."""


def problems() -> list[str]:
    """What keeps the service from working, in words for whoever reads the probe's answer; empty when healthy."""
    return []
