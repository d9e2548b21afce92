"""What the controller may ask of a service's machine: a file each, with a function of the same name.

The arguments are the options of the module `host_<name>`. The result is a task's result; what the operator has to
mend is raised as `CallFailed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class CallFailed(Exception):
    """The machine cannot do what was asked for.

    Args:
        msg: what was seen, for the operator.
        result: more keys of the failed task's result.
    """

    def __init__(self, msg: str, **result: Any) -> None:
        super().__init__(msg)
        self.result = dict(result, msg=msg, failed=True)


def run(kind: Any, function: Callable[..., dict[str, Any]], spec: dict[str, Any], **more: Any) -> None:
    """Be a module, of the class `AnsibleModule` as `kind`: the function gets its arguments and gives its result."""
    module = kind(argument_spec=spec, supports_check_mode=True, **more)
    try:
        module.exit_json(**function(**module.params, check_mode=module.check_mode))
    except CallFailed as error:
        module.fail_json(**error.result)
