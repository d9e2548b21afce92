"""Code that runs on the machine of a service: standard library only, Python 3.8 and later.

It reaches the machine in two ways, so it imports nothing of the package but its own files, relatively. A step calls
one of `calls` through `program`, which arrives on standard input (`pyrunbook.plugins.target_program`). The modules in
`pyrunbook/plugins/modules`, for playbooks of your own, get it from Ansible as the module_utils of the collection.
"""
