#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Turn the sos-init program into a C file, and refuse one that has grown too large or is not static.

usage: embed.py PROGRAM OUTPUT.c
"""
import struct
import sys

LIMIT = 128 * 1024
PT_INTERP = 3


def is_static(elf):
    if elf[:4] != b"\x7fELF":
        return False
    wide = elf[4] == 2
    order = "<" if elf[5] == 1 else ">"
    offset, = struct.unpack_from(order + ("Q" if wide else "I"), elf, 32 if wide else 28)
    size, count = struct.unpack_from(order + "HH", elf, 54 if wide else 42)
    return all(struct.unpack_from(order + "I", elf, offset + i * size)[0] != PT_INTERP for i in range(count))


def main():
    program, output = sys.argv[1:]
    with open(program, "rb") as f:
        data = f.read()
    if len(data) > LIMIT:
        sys.exit(f"{program}: {len(data)} bytes, more than {LIMIT}")
    if not is_static(data):
        sys.exit(f"{program}: not a static ELF program")
    with open(output, "w") as f:
        f.write("/* Generated from sos-init. */\n")
        f.write("extern const unsigned char sos_init_image_data[];\nextern const unsigned long sos_init_image_size;\n")
        f.write(f"const unsigned long sos_init_image_size = {len(data)};\n")
        f.write("const unsigned char sos_init_image_data[] = {\n")
        for i in range(0, len(data), 24):
            f.write(",".join(str(b) for b in data[i:i + 24]) + ",\n")
        f.write("};\n")


main()
