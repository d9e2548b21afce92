"""Which service is operated on: the names of its objects in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyrunbook.errors import BadInput

COLORS = ("blue", "green")


@dataclass(frozen=True)
class ServiceNames:
    """The names of the objects of a blue/green service.

    Args:
        service: name of the Service that carries the traffic (`service_kubernetes_name`).
        color_label: key of its selector that tells the colors apart (`service_color_label`).
        deployments: color to name of its Deployment.
        preview_service: name of the Service that follows the preview color, if there is one.
    """

    service: str
    color_label: str
    deployments: Mapping[str, str]
    preview_service: str | None = None

    def scope(self, selector: Mapping[str, str], color: str) -> dict[str, str]:
        """The labels that pods and objects of a color carry: the Service's whole selector with this color in it.

        Raises:
            BadInput: the color is neither blue nor green.
        """
        if color not in self.deployments:
            raise BadInput(f"{color!r} is not a color of {self.service} (blue, green)")
        return {**selector, self.color_label: color}


def other(color: str) -> str:
    """Green for blue, blue for green."""
    return "green" if color == "blue" else "blue"
