"""Runs a playbook through ansible-runner, shows it, ends it gently, and sees to it that a failed run is put back."""
