"""Hands a request to relman-host on its standard input and brings back what it printed.

One execution over the connection, without a module: no Python on the host, no file there, nothing of the request in
an argument list or in a log. The request is the variable `relman_request`, in hex, so that nothing in it can be
taken for a template. Whether the answer is one is for the caller to say.
"""

from __future__ import annotations

import json

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

BINARY = "/usr/local/bin/relman-host"
NOT_INSTALLED = 127

# A constant: nothing that anybody typed gets into it.
COMMAND = (
    f"if [ ! -x {BINARY} ]; then exit {NOT_INSTALLED}; "
    f'elif [ "$(id -u)" = 0 ]; then exec {BINARY} perform; '
    f"else exec sudo -n {BINARY} perform; fi"
)


class ActionModule(ActionBase):
    """Takes no arguments."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            result.update(skipped=True, msg="relman-host is not asked in check mode")
            return result
        # Text that came with tags of Ansible's own; the plain text is what is decoded.
        encoded = str((task_vars or {}).get("relman_request", ""))
        try:
            request = bytes.fromhex(encoded)
        except ValueError:
            request = b""
        if not request:
            raise AnsibleActionFail("the variable relman_request holds no request in hex")

        answer = self._low_level_execute_command(COMMAND, sudoable=False, in_data=request)
        result["relman"] = {key: answer[key] for key in ("rc", "stdout", "stderr")}
        if answer["rc"] != 0:
            result["failed"] = True
            result["msg"] = message(answer)
        return result


def message(answer):
    """One line for whoever reads the playbook's output."""
    if answer["rc"] == NOT_INSTALLED:
        return "relman-host is not installed"
    try:
        return json.loads(answer["stdout"])["result"]["failed"]["message"]
    except (ValueError, KeyError, TypeError):
        lines = [line for line in answer["stderr"].splitlines() if line.strip()]
        return lines[-1] if lines else f"relman-host ended with {answer['rc']}"
