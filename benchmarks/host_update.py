"""7: a whole update on a host beside a plain shell script, on the sandbox's own supervisor and proxy."""

from __future__ import annotations

from functools import partial

from sandbox_under_test import Sandbox

from benchmarks import own_sandbox, updates
from benchmarks.figures import Figure, NotMeasured
from benchmarks.programs import Start, start
from benchmarks.updates import OURS, SCRIPT, Checkout

PART = 7
NAME = "an update on a host"
DEFINITIONS = """
set -euo pipefail
root=$1 release=$2 new=$3 new_address=$4 old=$5 old_address=$6 maintenance=$7
begin() {
  ln -sfn "../../releases/$release" "$root/slots/$new/release"
  supervisorctl -c "$root/supervisord.conf" start "agent-factory-$new"
  until curl --silent --fail --output /dev/null "http://$new_address/ready"; do sleep 0.1; done
}
switch() {
  echo "$1" > "$root/proxy/upstream.new"
  mv "$root/proxy/upstream.new" "$root/proxy/upstream"
}
drain() {
  idle='^agent_factory_requests_in_flight 0$'
  until curl --silent --fail "http://$old_address/metrics" | grep "$idle"; do sleep 0.1; done
}
end() {
  supervisorctl -c "$root/supervisord.conf" stop "agent-factory-$old"
  rm "$root/slots/$old/release"
}
"""
SCRIPTS = {
    "zero_downtime": 'begin; switch "$new_address"; drain; end',
    "controlled_stop": 'switch "$maintenance"; drain; end; begin; switch "$new_address"',
}
STEPS = {
    "zero_downtime": "start the new color, wait until it is ready, rename the upstream file, drain, stop the old one",
    "controlled_stop": "send clients to the maintenance answer, drain, stop the old color, start the new one, wait "
    "until it is ready, rename the upstream file",
}


def measure(against: Checkout | None = None, pairs: int = updates.PAIRS) -> list[Figure]:
    """Update with both strategies, by turns with `pyrunbook run`, the script and the other checkout."""
    figures = []
    with own_sandbox.running() as sandbox:
        updating = _Updating(sandbox)
        for strategy in updates.STRATEGIES:
            ways = {one.name: partial(updating.ours, one, strategy) for one in (OURS, against) if one}
            ways[SCRIPT] = partial(updating.script, strategy)
            taken = updates.by_turns(ways, pairs)
            note = f"the script: {STEPS[strategy]}; on the sandbox of this machine"
            figures += updates.judge(PART, strategy, taken, "the lock on the host", note)
    return figures


class _Updating:
    """Updates of the sandbox: each to a release of its own, in the other direction than the one before."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._number = 0

    def ours(self, checkout: Checkout, strategy: str) -> Start:
        """With `pyrunbook run`."""
        release = self._release()
        lock = self._sandbox.directory / "state" / "lock.json"
        argv = checkout.argv(checkout.root / "inventories" / "sandbox", strategy, drain_delay=0)
        environment = checkout.environment(self._sandbox.env, self._sandbox.directory.parent)
        took = start(argv, environment, cwd=checkout.root, seen=lock.exists)
        return self._check(took, release)

    def script(self, strategy: str) -> Start:
        """With the shell script."""
        release = self._release()
        settings = self._sandbox.status()
        old, _ = own_sandbox.serves(self._sandbox)
        new = {"blue": "green", "green": "blue"}[old]
        addresses = {color: slot["address"] for color, slot in settings["colors"].items()}
        program = f"{DEFINITIONS}\n{SCRIPTS[strategy]}"
        given = [release, new, addresses[new], old, addresses[old], settings["maintenance_address"]]
        argv = ["bash", "-c", program, "update", str(self._sandbox.directory), *given]
        return self._check(start(argv, self._sandbox.env), release)

    def _release(self) -> str:
        self._number += 1
        release = f"7.{self._number}.0"
        own_sandbox.release(self._sandbox, release)
        return release

    def _check(self, took: Start, release: str) -> Start:
        color, version = own_sandbox.serves(self._sandbox)
        other = {"blue": "green", "green": "blue"}[color]
        if version != release or self._sandbox.layout.slot(other).is_symlink():
            raise NotMeasured(f"after the update to {release}, {color} serves {version}")
        return took
