"""Which service is operated on: the part of the inventory that Kubernetes steps need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyrunbook.errors import BadInput

COLORS = ("blue", "green")


@dataclass(frozen=True)
class Target:
    """A blue/green service in one namespace.

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

    @classmethod
    def of(
        cls, service: str, color_label: str, colors: Mapping[str, Mapping[str, Any]], preview_service: str | None
    ) -> Target:
        """From the inventory's `service_colors`.

        Raises:
            BadInput: the colors are not exactly blue and green, or one has no Deployment.
        """
        if sorted(colors) != sorted(COLORS):
            raise BadInput(
                f"service_colors of {service} names {', '.join(sorted(colors)) or 'no color'}",
                means="it must name blue and green, and nothing else",
                next_step="correct service_colors in the inventory",
            )
        deployments = {color: str(colors[color].get("deployment") or "") for color in COLORS}
        for color, name in deployments.items():
            if not name:
                raise BadInput(
                    f"service_colors.{color} of {service} has no deployment",
                    next_step=f"add deployment: {service}-{color} in the inventory",
                )
        if len(set(deployments.values())) == 1:
            raise BadInput(f"both colors of {service} name the Deployment {deployments['blue']}")
        return cls(service, color_label, deployments, preview_service or None)

    def check_color(self, color: str) -> str:
        """The color, if it is one.

        Raises:
            BadInput: it is neither blue nor green.
        """
        if color not in self.deployments:
            raise BadInput(f"{color!r} is not a color of {self.service} (blue, green)")
        return color

    def scope(self, selector: Mapping[str, str], color: str) -> dict[str, str]:
        """The labels that pods and objects of a color carry: the Service's whole selector with this color in it."""
        return {**selector, self.color_label: color}


def other(color: str) -> str:
    """Green for blue, blue for green."""
    return "green" if color == "blue" else "blue"
