# SPDX-License-Identifier: BSD-3-Clause
"""The other side of codec_peers_test.cpp: Debian's python3-msgpack, written by others.

    codec_peers_test.py make SEED VALUES EVENTS   prints random values and events, packed
    codec_peers_test.py read FILE                 unpacks what our writer has written

A value stands in a line as what it is and its bytes. What it is: n(il), t(rue), f(alse), i and a
number, d and a double's bits, s(tring) and b(ytes) with their content, A(rray) and M(ap) with how
many values or pairs follow; separated by commas. A float of single precision is g and the bits of
the double that equals it.
"""

import random
import struct
import sys

import msgpack


def pack(x):
    return msgpack.packb(x, unicode_errors="surrogateescape")


def unpack(x):
    return msgpack.unpackb(x, strict_map_key=False, unicode_errors="surrogateescape")


def text(x):
    return x.encode("utf-8", "surrogateescape")


def told(x):
    """What a value is, as a list of tokens."""
    if x is None:
        return ["n"]
    if isinstance(x, bool):
        return ["t" if x else "f"]
    if isinstance(x, int):
        return ["i%d" % x]
    if isinstance(x, float):
        return ["d" + struct.pack(">d", x).hex()]
    if isinstance(x, str):
        return ["s" + text(x).hex()]
    if isinstance(x, bytes):
        return ["b" + x.hex()]
    if isinstance(x, list):
        return sum((told(each) for each in x), ["A%d" % len(x)])
    return sum((told(k) + told(v) for k, v in x.items()), ["M%d" % len(x)])


class Dice:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def integer(self, low, high):
        """Every magnitude is as likely as any other."""
        x = self.r.getrandbits(64) >> self.r.randrange(64)
        if low < 0 and self.r.random() < 0.5:
            x = -x
        return x if low <= x <= high else self.r.randint(low, high)

    def length(self):
        return self.r.choice([15, 16]) if self.r.random() < 0.02 else self.r.randrange(4)

    def content(self):
        """Of a length at the edges of the forms now and then."""
        edges = [31, 32, 255, 256] if self.r.random() < 0.9 else [65535, 65536]
        return self.r.randbytes(
            self.r.choice(edges) if self.r.random() < 0.002 else self.r.randrange(12)
        )

    def string(self):
        return self.content().decode("utf-8", "surrogateescape")

    def real(self):
        return struct.unpack(">d", self.r.randbytes(8))[0] if self.r.random() < 0.5 else 0.5

    def scalar(self):
        return self.r.choice(
            [
                lambda: None,
                lambda: self.r.random() < 0.5,
                lambda: self.integer(-(2**63), 2**64 - 1),
                self.real,
                self.string,
                self.content,
            ]
        )()

    def value(self, depth=0):
        kind = self.r.random()
        if depth > 6 or kind < 0.5:
            return self.scalar()
        if kind < 0.75:
            return [self.value(depth + 1) for _ in range(self.length())]
        return {self.r.choice([self.string, self.content, self.key])(): self.value(depth + 1)
                for _ in range(self.length())}

    def key(self):
        return self.integer(-(2**63), 2**64 - 1)

    def many(self, each):
        return [each() for _ in range(self.length())]

    def money(self):
        return [self.integer(-(2**63), 2**63 - 1), self.string()]

    def int32(self):
        return self.integer(-(2**31), 2**31 - 1)

    def flag(self):
        return self.r.random() < 0.5

    def tree(self, depth=3):
        below = [self.tree(depth - 1) for _ in range(self.r.randrange(3) if depth else 0)]
        return [self.int32(), below]

    def ordered(self):
        """The event of that name in codec_events.hpp."""
        by_bytes = lambda keys: sorted(set(keys), key=text)
        return [
            self.flag(),
            self.integer(-128, 127),
            self.integer(0, 2**16 - 1),
            self.int32(),
            self.integer(-(2**63), 2**63 - 1),
            self.integer(0, 2**64 - 1),
            self.integer(0, 255),
            self.integer(-(2**15), 2**15 - 1),
            self.real(),
            self.string(),
            self.content(),
            self.r.randbytes(4),
            self.many(self.money),
            [self.int32(), self.int32(), self.int32()],
            self.many(self.string),
            sorted(set(self.many(self.int32))),
            {k: self.integer(-(2**63), 2**63 - 1) for k in by_bytes(self.many(self.string))},
            {k: self.many(self.money)
             for k in sorted(set(self.many(lambda: self.integer(0, 2**32 - 1))))},
            [self.int32(), self.string()],
            [self.int32(), self.flag(), self.real()],
            self.r.choice([None, self.int32()]),
            self.r.choice([None, [None], [self.flag()]]),
            self.r.choice([[0, self.int32()], [1, self.string()], [2, self.money()], [3, []]]),
            self.integer(-(2**63), 2**63 - 1),
            self.integer(-(2**63), 2**63 - 1),
            self.money(),
            [],
            self.many(self.flag),
            self.tree(),
        ]


def make(seed, values, events):
    dice = Dice(seed)
    for _ in range(values):
        x = dice.value()
        print(",".join(told(x)), pack(x).hex())
    for _ in range(events):
        print("event", pack(dice.ordered()).hex())


def read(path):
    wrong = seen = 0
    for line in open(path):
        what, content = line.split()
        content = bytes.fromhex(content)
        seen += 1
        try:
            x = unpack(content)
            # A single float comes back as a double: not its bytes can be compared, but its value.
            single = ",g" in what or what[0] == "g"
            same = ",".join(told(x)) == what.replace("g", "d")
            if not same or not (single or pack(x) == content):
                raise ValueError("it means something else, or has a shorter form")
        except ValueError as why:
            wrong += 1
            if wrong <= 5:
                print("%s\n  %s" % (why, line.strip()[:500]))
    print("%d values, %d wrong" % (seen, wrong))


if sys.argv[1] == "make":
    make(*map(int, sys.argv[2:]))
else:
    read(sys.argv[2])
