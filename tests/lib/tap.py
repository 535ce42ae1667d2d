# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test Anything Protocol for the tests in Python."""

import sys


class Tap:
    def __init__(self):
        self.points = 0
        self.failures = 0

    def ok(self, good, name, *details):
        self.points += 1
        self.failures += not good
        print(f"{'ok' if good else 'not ok'} {self.points} - {name}")
        if not good:
            for detail in details:
                for line in str(detail).splitlines():
                    print(f"# {line}")
        sys.stdout.flush()
        return good

    def empty(self, problems, name):
        """A point that holds when the list is empty; else its items are the details."""
        return self.ok(not problems, name, *problems)

    def done(self):
        print(f"1..{self.points}")
        return 1 if self.failures or not self.points else 0
