"""Packets of netcode 1.02 and of game://, sealed by a ChaCha20-Poly1305 of its own (RFC 8439), and
files of packets as tshark reads them."""
import struct

VERSION = b"NETCODE 1.02\0"
WORD = 0xFFFFFFFF


def rotate(word, by):
    return (word << by | word >> (32 - by)) & WORD


def rounds(key, last):
    """The state of ChaCha behind its rounds, and as it was."""
    first = struct.unpack("<16I", b"expand 32-byte k" + key + last)
    state = list(first)
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[x] = (state[x] + state[y]) & WORD
                state[z] = rotate(state[z] ^ state[x], by)
    return state, first


def block(key, counter, nonce):
    state, first = rounds(key, struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *((a + b) & WORD for a, b in zip(state, first)))


def poly1305(key, text):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at:at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    tag = (total + int.from_bytes(key[16:32], "little")) & ((1 << 128) - 1)
    return tag.to_bytes(16, "little")


def seal(key, nonce, additional, plain):
    text = b""
    for at in range(0, len(plain), 64):
        part = plain[at:at + 64]
        text += bytes(a ^ b for a, b in zip(part, block(key, at // 64 + 1, nonce)))

    def padded(of):
        return of + bytes(-len(of) % 16)

    lengths = struct.pack("<QQ", len(additional), len(text))
    tagged = padded(additional) + padded(text) + lengths
    return text + poly1305(block(key, 0, nonce)[:32], tagged)


def seal_x(key, nonce, additional, plain):
    """XChaCha20: a nonce of 24 bytes."""
    state, _ = rounds(key, nonce[:16])
    derived = struct.pack("<8I", *state[:4], *state[12:])
    return seal(derived, bytes(4) + nonce[16:], additional, plain)


def request(token_key, protocol, nonce, client_id, server, keys, user_data):
    """A connection request; `server` is an IPv4 address and a port, or an IPv6 one as 8 numbers."""
    host, port = server
    if isinstance(host, bytes):
        address = b"\1" + host
    else:
        address = b"\2" + struct.pack("<8H", *host)
    private = struct.pack("<QiI", client_id, 10, 1) + address + struct.pack("<H", port)
    private = (private + keys[0] + keys[1] + user_data.ljust(256, b"\0")).ljust(1008, b"\0")
    front = struct.pack("<QQ", protocol, 2_000_000_000)
    sealed = seal_x(token_key, nonce, VERSION + front, private)
    return b"\0" + VERSION + front + nonce + sealed


def packet(kind, key, protocol, sequence, plain, conn=None):
    """A sealed packet of this kind; a wide one has the number of its connection."""
    number = sequence.to_bytes(max(1, (sequence.bit_length() + 7) // 8), "little")
    prefix = bytes([len(number) << 4 | kind])
    of = struct.pack("<Q", conn) if conn is not None else b""
    additional = VERSION + struct.pack("<Q", protocol) + prefix + of
    nonce = struct.pack("<IQ", 0, sequence)
    return prefix + number + of + seal(key, nonce, additional, plain)


def pcap(path, packets):
    """`packets`: who sends and to whom, each an IPv4 address and a port, and the datagram."""
    with open(path, "wb") as out:
        # Each begins with its IP header.
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for at, ((source, port), (target, to), data) in enumerate(packets):
            udp = struct.pack(">HHHH", port, to, 8 + len(data), 0) + data
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), at, 0, 64, 17, 0)
            whole = ip + bytes(map(int, source.split("."))) + bytes(map(int, target.split(".")))
            whole += udp
            out.write(struct.pack("<IIII", 1, at, len(whole), len(whole)) + whole)
