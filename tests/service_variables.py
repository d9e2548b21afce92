"""What an inventory has to say of a service, on each platform, and no more."""

from __future__ import annotations

from typing import Any

HOST: dict[str, Any] = {
    "service_platform": "host",
    "service_root": "/srv/shop",
    "service_url": "https://shop.example.com",
    "service_manager": "systemd",
    "service_maintenance_address": "127.0.0.1:8099",
    "service_colors": {
        "blue": {"url": "http://shop.example.com:9101", "address": "127.0.0.1:8101", "unit": "shop@blue"},
        "green": {"url": "http://shop.example.com:9102", "address": "[::1]:8102", "unit": "shop@green"},
    },
}
KUBERNETES: dict[str, Any] = {
    "service_platform": "kubernetes",
    "service_namespace": "shop",
    "service_kubernetes_name": "shop",
    "service_url": "https://shop.example.com",
    "service_colors": {
        "blue": {"url": "http://blue.shop.example.com", "deployment": "shop-blue"},
        "green": {"url": "http://green.shop.example.com", "deployment": "shop-green"},
    },
}
