#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fails unless the C block of README.md is readme.c without its first line: check_readme.py README.md readme.c"""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    blocks = re.findall(r"^```c\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
with open(sys.argv[2], encoding="utf-8") as file:
    source = file.read().split("\n", 1)[1]
if blocks != [source]:
    sys.exit(f"the C example of {sys.argv[1]} is not {sys.argv[2]}")
