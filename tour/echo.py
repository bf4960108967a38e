# An echo server: each message goes back to where it came from, until the input ends (Ctrl-D).
# python3 echo.py 'tcp://[::]:7777?frame=u32be'
import ctypes, sys
from ctypes import byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p, sizeof

MESSAGE, CLOSED, RESET = 2, 6, 1

class Event(ctypes.Structure):
    _fields_ = [("kind", c_uint32), ("cause", c_int32), ("conn", c_uint64), ("listener", c_uint64),
                ("user_data", c_uint64), ("data", c_void_p), ("data_len", c_uint32),
                ("os_error", c_int32), ("detail", c_uint64), ("flags", c_uint32), ("_", c_uint32)]

class ListenerInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("port", c_uint32), ("_", c_uint64 * 4)]

Callback = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_uint32, ctypes.POINTER(Event), c_uint32)
lib = ctypes.CDLL("sockeye.dll" if sys.platform == "win32" else "libsockeye.so.0")
lib.sockeye_cause_text.restype = lib.sockeye_last_error.restype = c_char_p
lib.sockeye_send.argtypes = c_void_p, c_uint64, c_void_p, c_size_t
lib.sockeye_close.argtypes = c_void_p, c_uint64, c_uint32

@Callback
def on_events(user, net, queue, events, count):
    for event in events[:count]:
        if event.kind == MESSAGE:
            if lib.sockeye_send(net, event.conn, event.data, event.data_len) < 0:
                lib.sockeye_close(net, event.conn, RESET)  # it sends and does not read
        elif event.kind == CLOSED:
            print("closed:", lib.sockeye_cause_text(event.cause).decode(), flush=True)

url = sys.argv[1].encode() if len(sys.argv) > 1 else b""
net, door, info = c_void_p(), c_uint64(), ListenerInfo()
if (lib.sockeye_init(None, byref(net)) < 0 or lib.sockeye_set_callback(net, 0, on_events, None) < 0
        or lib.sockeye_listen(net, url, None, byref(door)) < 0
        or lib.sockeye_listener_get_info(net, door, byref(info), c_size_t(sizeof(info))) < 0):
    sys.exit("echo: " + lib.sockeye_last_error().decode())
assert info.struct_size == sizeof(ListenerInfo) and sizeof(Event) == 64  # as sockeye.h has them
print("port", info.port, flush=True)
sys.stdin.read()
lib.sockeye_shutdown(net, 2000)  # tells what is left
sys.exit(lib.sockeye_free(net) < 0)
