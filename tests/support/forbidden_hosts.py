"""Spellings of addresses that nobody may have the gateway call: one table for every place where a URL may be given."""

NEVER = (
    "0.0.0.0", "0", "0x0", "169.254.169.254", "169.254.1.1", "169.254.170.2", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "224.0.0.1", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xA9.254.0xa9fe",
    "[::]", "[fe80::1]", "[fe80::1%25eth0]", "[ff02::1]", "[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[::ffff:0:169.254.169.254]",
    "[2002:a9fe:a9fe::1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]",
)  # fmt: skip
"""Unspecified, link-local, metadata, multicast: in decimal, octal, hex, and IPv4 in each of IPv6's clothes."""

NEVER_BY_NAME = (
    "metadata.google.internal", "METADATA.google.internal.", "metadata", "x.metadata.google.internal",
    "169.254.169.254.", "%31%36%39.254.169.254", "\uff11\uff16\uff19.254.169.254", "169\u3002254\u3002169\u3002254",
)  # fmt: skip
"""No literal addresses for us, but for clients that are less strict, and known names."""

PRIVATE = (
    "127.0.0.1", "127.1", "127.0.0.53", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "10.0.0.1",
    "172.16.0.1", "172.31.255.255", "192.168.1.1", "3232235777", "100.64.0.1", "198.18.0.1", "255.255.255.255",
    "[::1]", "[fc00::1]", "[fd12::1]", "[fec0::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
)  # fmt: skip

PUBLIC = (
    "93.184.216.34", "8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "[2002:808:808::1]", "[64:ff9b::808:808]",
    "134744072", "172.32.0.1",
)  # fmt: skip
