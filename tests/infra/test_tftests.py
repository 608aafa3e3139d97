"""The tests in Terraform's own language: plans of modules and roots with a provider that is mocked."""

import re

from terraform import Root, copy_of_infra


def test_the_tftests_pass(tmp_path):
    root = Root(copy_of_infra(tmp_path), {})
    root.init()
    said = root.run("test", "-no-color", codes=(0, 1)).stdout
    assert re.search(r"^Success! \d{2,} passed, 0 failed\.$", said, re.MULTILINE), said
