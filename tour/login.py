# What a login backend does for each player that it lets in: a connect token for game://, to
# standard output.   python3 login.py KEY PLAYER IP:PORT...
# The servers' key is 64 hexadecimal digits. A real one answers a player's HTTPS request with these
# bytes once it knows who asks.
import ctypes, sys
from ctypes import byref, c_char_p, c_int32, c_size_t, c_ubyte, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p, sizeof

class Address(ctypes.Structure):
    _fields_ = [("family", c_uint16), ("port", c_uint16), ("scope_id", c_uint32),
                ("bytes", c_ubyte * 16), ("local", c_ubyte * 16)]

class TokenConfig(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("expire_s", c_uint32), ("protocol_id", c_uint64),
                ("client_id", c_uint64), ("key", c_ubyte * 32),
                ("addresses", ctypes.POINTER(Address)), ("user_data", c_void_p),
                ("addresses_count", c_uint32), ("user_data_len", c_uint32),
                ("timeout_s", c_int32), ("reserved", c_uint32 * 3)]

lib = ctypes.CDLL("sockeye.dll" if sys.platform == "win32" else "libsockeye.so.0")
lib.sockeye_last_error.restype = c_char_p

def demand(status):
    if status < 0:
        raise ValueError(lib.sockeye_last_error().decode())

def make_token(key, player, servers, user_data, protocol_id=1):
    config, addresses = TokenConfig(), (Address * len(servers))()
    token, data = (c_ubyte * 2048)(), ctypes.create_string_buffer(user_data)
    demand(lib.sockeye_token_config_init(byref(config), c_size_t(sizeof(config))))
    for text, address in zip(servers, addresses):
        demand(lib.sockeye_address_parse(text.encode(), byref(address)))
    config.key[:], config.client_id, config.protocol_id = key, player, protocol_id
    config.addresses, config.addresses_count = addresses, len(servers)
    config.user_data, config.user_data_len = ctypes.addressof(data), len(user_data)
    demand(lib.sockeye_token_make(byref(config), token))
    return bytes(token)

try:
    key, player, servers = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    sys.stdout.buffer.write(make_token(key, player, servers, b"level=3"))
except (ValueError, IndexError) as error:
    sys.exit(f"login: {error}")
