"""Has tshark show packets of game:// with tools/sockeye.lua, and looks at what it shows.

    dissect.py --script FILE --work FOLDER --talk PROGRAM
"""
import argparse
import os
import select
import socket
import struct
import subprocess

import netcode

CLIENT, SERVER, MOVED = ("10.0.0.2", 5000), ("10.0.0.1", 7777), ("10.0.0.9", 6000)
KEYS = [bytes(range(32)), bytes(range(100, 132))]
TOKEN_KEY = bytes([7]) * 32
PROTOCOL, CONN = 0x1122334455667788, 0xAABBCCDD00112233


def hello(conn):
    """Lanes 0 to 2 are ordered, unreliable and sequenced; behind them is what this version has
    not."""
    said = bytes([1, 0]) + struct.pack(">HQBI", 0x4000 | 1472, conn, 3, 0b11_10_00) + b"?"
    return bytes([5, len(said)]) + said


FIELDS = ["sockeye.sequence", "sockeye.message.lane", "sockeye.message.id", "sockeye.message.data",
          "sockeye.ack.range", "_ws.col.Info"]


def show(options, path, fields, preferences=()):
    """A row for each packet, with a cell for each field."""
    command = ["tshark", "-r", path, "-X", f"lua_script:{options.script}", "-T", "fields",
               "-E", "separator=|"]
    for field in fields:
        command += ["-e", field]
    for preference in preferences:
        command += ["-o", preference]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    wrong = [line for line in said.stderr.splitlines() if "Lua" in line]
    assert not wrong, wrong
    return [line.split("|") for line in said.stdout.splitlines()]


def conversation(token_key):
    """A whole connection, in which the client moves."""
    def up(kind, sequence, plain, **more):
        return (CLIENT, SERVER, netcode.packet(kind, KEYS[0], PROTOCOL, sequence, plain, **more))

    def down(kind, sequence, plain, **more):
        return (SERVER, CLIENT, netcode.packet(kind, KEYS[1], PROTOCOL, sequence, plain, **more))

    asked = netcode.request(token_key, PROTOCOL, bytes(range(24)), 42, (bytes([10, 0, 0, 1]), 7777),
                            KEYS, b"Ada")
    message = bytes([0x80 | 0x20 | 0, 5, 3]) + b"abc"
    message += bytes([0x80 | 1]) + struct.pack(">H", 0x4000 | 256)
    ack = bytes([2]) + struct.pack(">H", 0x4000 | 300) + bytes([16, 1, 3, 5, 0])
    part = bytes([0xC0 | 2, 9]) + struct.pack(">IH", 0x80000000 | 100_000, 0x4000 | 1100)
    part += bytes(900)
    clock = bytes([8]) + struct.pack(">QQ", 1_000_000, 2_000_000) + bytes([9])
    return [
        (CLIENT, SERVER, asked),
        down(2, 0, struct.pack("<Q", 8) + bytes(300)),
        up(3, 0, struct.pack("<Q", 8) + bytes(300)),
        down(4, 1, struct.pack("<II", 3, 64)),
        up(5, 300, hello(0) + message + b"unreliable"),
        down(5, 2, hello(CONN) + ack),
        up(5, 301, part),
        (MOVED, SERVER, netcode.packet(7, KEYS[0], PROTOCOL, 302, b"\6challenge"[:9], conn=CONN)),
        up(5, 70_000, b"\1\4\3\1\x40\x80" + clock + bytes(20)),
        down(7, 3, bytes([0xF0 | 1, 4, 60, 0, 0]), conn=CONN),
        up(6, 70_001, b""),
    ]


def opened_by(options, path, preferences):
    rows = show(options, path, FIELDS, preferences)
    told = [row[-1] for row in rows]
    assert told[0].startswith("Request") and "cut" not in " ".join(told), told
    assert told[1].startswith("< Challenge") and told[3].startswith("< Keep-alive"), told
    assert rows[4][:4] == ["300", "0,1", "5,256", "616263,756e72656c6961626c65"], rows[4]
    assert told[4].endswith("HELLO 1472, MESSAGE 0:5 (3 B), MESSAGE 1:256 (10 B)"), told[4]
    assert rows[5][4] == "297-300,290" and told[5].endswith("ACK 297-300,290"), rows[5]
    assert told[6].endswith("MESSAGE 2:9 (900 B of 100000 at 1100)"), told[6]
    assert told[7].startswith("> Wide 302") and told[7].endswith("CHALLENGE"), told[7]
    assert told[8].endswith("PING, END, CLOCK, PADDING 20"), told[8]
    assert told[9].endswith("< Wide 3: MESSAGE 1:4 (0 B of 60 at 0, given up)"), told[9]
    assert told[10] == "> Disconnect 70001", told[10]


def opens_a_connection_with_an_open_token(options):
    path = os.path.join(options.work, "open.pcap")
    netcode.pcap(path, conversation(bytes(32)))
    opened_by(options, path, [])
    row = show(options, path, ["sockeye.token.client", "sockeye.token.address",
                               "sockeye.protocol"])[0]
    assert row == ["42", "10.0.0.1:7777", "0x1122334455667788"], row


def opens_one_with_a_backend_whose_key_it_is_given(options):
    path, keys = (os.path.join(options.work, name) for name in ("backend.pcap", "backend.keys"))
    netcode.pcap(path, conversation(TOKEN_KEY))
    with open(keys, "w", encoding="ascii") as out:
        out.write(f"token {TOKEN_KEY.hex()}\n")
    opened_by(options, path, [f"sockeye.keys:{keys}"])


def opens_one_whose_own_keys_it_is_given(options):
    path, keys = (os.path.join(options.work, name) for name in ("session.pcap", "session.keys"))
    netcode.pcap(path, conversation(TOKEN_KEY))
    with open(keys, "w", encoding="ascii") as out:
        out.write(f"session {KEYS[0].hex()} {KEYS[1].hex()}\n")
    opened_by(options, path, [f"sockeye.keys:{keys}"])


def shows_what_is_in_clear_without_a_key(options):
    path = os.path.join(options.work, "backend.pcap")
    told = [row[0] for row in show(options, path, ["_ws.col.Info"])]
    assert told[4] == "Payload 300, sealed" and told[9] == "Wide 3, sealed", told


def opens_nothing_that_was_changed(options):
    packets = conversation(bytes(32))
    source, target, data = packets[4]
    packets[4] = (source, target, data[:-1] + bytes([data[-1] ^ 1]))
    path = os.path.join(options.work, "changed.pcap")
    netcode.pcap(path, packets)
    told = [row[0] for row in show(options, path, ["_ws.col.Info"])]
    assert told[4] == "Payload 300, sealed" and told[5].startswith("< Payload 2: "), told


def opens_packets_of_every_size(options):
    """Which the ciphers' own arithmetic is held to."""
    packets = conversation(bytes(32))[:1]
    for size in range(1, 400):
        plain = bytes([0x81, size % 64]) + bytes(at * size % 256 for at in range(size))
        packets.append((CLIENT, SERVER, netcode.packet(5, KEYS[0], PROTOCOL, size * 977, plain)))
    path = os.path.join(options.work, "sizes.pcap")
    netcode.pcap(path, packets)
    rows = show(options, path, ["sockeye.message.data", "_ws.col.Info"])
    for size in range(1, 400):
        data = bytes(at * size % 256 for at in range(size)).hex()
        assert rows[size][0] == data, rows[size]


def says_where_a_frame_is_cut_or_strange(options):
    def payload(sequence, plain):
        return (CLIENT, SERVER, netcode.packet(5, KEYS[0], PROTOCOL, sequence, plain))

    cut, strange = payload(1, b"\x02\x05"), payload(2, b"\x01\x7f\x00")
    path = os.path.join(options.work, "cut.pcap")
    netcode.pcap(path, conversation(bytes(32))[:1] + [cut, strange])
    rows = show(options, path, ["_ws.col.Info", "sockeye.cut", "sockeye.strange"])
    assert rows[1][0].endswith("cut") and rows[1][1], rows[1]
    assert rows[2][0].endswith("PING") and rows[2][2], rows[2]


def overheard(program):
    """The packets of a program that speaks with itself through us."""
    packets, client = [], None
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as talk, \
            socket.socket(type=socket.SOCK_DGRAM) as front, \
            socket.socket(type=socket.SOCK_DGRAM) as back:
        back.connect(("127.0.0.1", int(talk.stdout.readline())))
        front.bind(("127.0.0.1", 0))
        talk.stdin.write(f"{front.getsockname()[1]}\n")
        talk.stdin.flush()
        while talk.poll() is None:
            for ready in select.select([front, back], [], [], 0.1)[0]:
                if ready is front:
                    data, client = front.recvfrom(65536)
                    packets.append((CLIENT, SERVER, data))
                    back.send(data)
                else:
                    packets.append((SERVER, CLIENT, back.recv(65536)))
                    front.sendto(packets[-1][2], client)
        assert talk.returncode == 0, f"talk ended with {talk.returncode}"
    return packets


def opens_what_the_library_sends(options):
    packets = overheard(options.talk)
    path = os.path.join(options.work, "talk.pcap")
    netcode.pcap(path, packets)
    rows = show(options, path, ["_ws.col.Info", "sockeye.message.lane", "sockeye.message.data",
                                "sockeye.cut", "sockeye.strange", "ip.src"])
    told = [row[0] for row in rows]
    assert told[0].startswith("Request") and not any("sealed" in row for row in told), told
    assert not any(row[3] or row[4] for row in rows), told
    # Each way every message was sent once at least, in each lane.
    for source in (CLIENT[0], SERVER[0]):
        for lane in "012":
            parts = [data for row in rows if row[5] == source
                     for of, data in zip(row[1].split(","), row[2].split(",")) if of == lane]
            assert sum(map(len, parts)) // 2 >= 20705, f"{lane}: {len(parts)} parts"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--talk", required=True)
    options = parser.parse_args()
    # RFC 8439, 2.5.2 and 2.8.2: what the packets are sealed with is what others have.
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    tag = netcode.poly1305(key, b"Cryptographic Forum Research Group")
    assert tag.hex() == "a8061dc1305136c6c22b8baf0c0127a9"
    plain = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
             b"future, sunscreen would be it.")
    sealed = netcode.seal(bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647"),
                          bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), plain)
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    cases = [opens_a_connection_with_an_open_token, opens_one_with_a_backend_whose_key_it_is_given,
             opens_one_whose_own_keys_it_is_given, shows_what_is_in_clear_without_a_key,
             opens_nothing_that_was_changed, opens_packets_of_every_size,
             says_where_a_frame_is_cut_or_strange, opens_what_the_library_sends]
    for case in cases:
        case(options)
        print(case.__name__.replace("_", " "))


if __name__ == "__main__":
    main()
