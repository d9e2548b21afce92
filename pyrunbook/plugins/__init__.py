"""What playbooks load: thin plugins that call the package."""
