"""The OCI registry, with the platform's images and the ones the audit's admission probes ask for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

import yaml

from labkit import debian, pki
from labkit.files import write_private
from labkit.images import Images
from labkit.lab import Lab
from labkit.part import Part, answers
from labkit.process import Command

DEPLOYED = ("atom/runner", "atom/exporter")
PROBE = "atom/probe"


class ImageRegistry(Part):
    """Docker's registry."""

    name = "image_registry"
    ports: ClassVar = ("image_registry",)

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        debian.program("docker-registry", "docker-registry")

    def configure(self, lab: Lab) -> None:
        home = lab.path("image_registry")
        home.mkdir(mode=0o700)
        configuration = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(home / "data")}, "delete": {"enabled": True}},
            "http": {"addr": lab.address("image_registry")},
        }
        write_private(home / "config.yml", yaml.safe_dump(configuration))

    def command(self, lab: Lab) -> Command:
        program = debian.program("docker-registry", "docker-registry")
        return Command((str(program), "serve", str(lab.path("image_registry", "config.yml"))))

    def ready(self, lab: Lab) -> bool:
        return answers(f"{url(lab)}/v2/")

    def seed(self, lab: Lab) -> None:
        """The deployed images, signed; and one image for each way an admission can go."""
        images, key = Images(url(lab)), lab.path("keys", "release.key")
        for repository in DEPLOYED:
            images.sign(repository, images.push(repository, "1.0.0", f"{repository} 1.0.0"), key)
        signed = images.push(PROBE, "signed", "probe: signed")
        images.sign(PROBE, signed, key)
        images.push(PROBE, "unsigned", "probe: unsigned")
        untrusted = images.push(PROBE, "untrusted", "probe: signed by a stranger")
        with tempfile.TemporaryDirectory() as folder:
            pki.make_signing_key(Path(folder), "stranger")
            images.sign(PROBE, untrusted, Path(folder, "stranger.key"))
        # The tag once named `signed`; now it names another image, under the old one's replayed signature.
        swapped = images.push(PROBE, "swapped", "probe: put in place of the signed one")
        images.sign(PROBE, swapped, key, names=signed)


def url(lab: Lab) -> str:
    """Its base URL."""
    return f"http://{lab.address('image_registry')}"


def deployed(lab: Lab) -> list[str]:
    """The references in use, each pinned by digest."""
    images = Images(url(lab))
    return [f"{lab.address('image_registry')}/{name}@{images.digest(name, '1.0.0')}" for name in DEPLOYED]
