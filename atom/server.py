"""How every service is started: one argument, the settings file; quiet, on the address the settings give."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from atom.settings import Settings


def settings_from_arguments(about: str) -> Settings:
    """The settings named on the command line of a service."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--settings", type=Path, required=True, help="the platform's settings file")
    return configure(parser.parse_args().settings)


def configure(path: Path) -> Settings:
    """Settings, and logging that says no more than it must."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    return Settings(path)


def serve(settings: Settings, service: str, application: Any) -> None:
    """Answer HTTP (HTTPS where the service has a certificate) until the process is told to end."""
    import uvicorn  # noqa: PLC0415 -- jobs share this module and need no server

    ours = settings[f"services.{service}"]
    host, _, port = ours["listen"].rpartition(":")
    uvicorn.run(
        application,
        host=host,
        port=int(port),
        ssl_certfile=ours.get("tls_cert"),
        ssl_keyfile=ours.get("tls_key"),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
