"""Code that runs on the machine of a service: standard library only, Python 3.9 and later.

Ansible ships these files to the machine as module_utils (`module_utils` in ansible.cfg), so they import nothing of
the package but each other, relatively. The modules in `pyrunbook/plugins/modules` are thin shells around them.
"""
