"""Tells relman what came of each host, as JSON lines in the file that RELMAN_RESULTS names.

Without the variable it does nothing, so that the playbooks can be run by hand. The lines:
  {"host": H, "kind": "answer", "rc": 0, "stdout": "…", "stderr": "…"}   what relman-host printed
  {"host": H, "kind": "failed", "task": "…", "message": "…"}              a task failed there
  {"host": H, "kind": "unreachable", "message": "…"}                      ssh failed
  {"host": H, "kind": "done"}                                             the playbook ended well there
"""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: relman
type: notification
short_description: tells relman what came of each host
description:
  - Writes a JSON line for each host's result into the file that the environment variable RELMAN_RESULTS names.
requirements:
  - enabled in C(callbacks_enabled)
"""


class CallbackModule(CallbackBase):
    """See the module's description."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "relman"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        path = os.environ.get("RELMAN_RESULTS")
        if not path:
            self.disabled = True
            return
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _tell(self, host, kind, **more):
        line = json.dumps({"host": str(host), "kind": kind, **more}) + "\n"
        os.write(self._file, line.encode())

    def _answer(self, result):
        answer = result.result.get("relman")
        if answer:
            plain = {"rc": int(answer["rc"]), "stdout": str(answer["stdout"]), "stderr": str(answer["stderr"])}
            self._tell(result.host.get_name(), "answer", **plain)
        return bool(answer)

    def v2_runner_on_ok(self, result):
        self._answer(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if ignore_errors or self._answer(result):
            return
        self._tell(result.host.get_name(), "failed", task=result.task.get_name(), message=said(result.result))

    def v2_runner_on_unreachable(self, result):
        self._tell(result.host.get_name(), "unreachable", message=said(result.result))

    def v2_playbook_on_stats(self, stats):
        for host in stats.processed:
            summary = stats.summarize(host)
            if not summary["failures"] and not summary["unreachable"]:
                self._tell(host, "done")


def said(result):
    """What a failed task says of itself: its message, and what the command printed."""
    parts = [result.get("msg"), result.get("stderr"), result.get("module_stderr")]
    parts += [item.get("msg") for item in result.get("results", []) if item.get("failed")]
    return "\n".join(str(part).strip() for part in parts if part)
