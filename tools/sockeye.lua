-- Shows the packets of game:// in Wireshark and tshark: netcode 1.02 (types 0 to 6), the wide
-- packets of Sockeye (type 7), and the frames of lanes inside, as docs/lanes.md describes them.
--
--   tshark -X lua_script:tools/sockeye.lua -r game.pcap
--   Wireshark: copy the file to the folder of personal Lua plugins (Help, About, Folders).
--
-- What is sealed is opened where a key is known. Connections made with `?token=open` need none: it
-- is in their requests. Others are read from the file that the preference `sockeye.keys` names
-- (-o sockeye.keys:FILE), with a line for each:
--
--   token KEY                   the key that tokens are made with, 64 hexadecimal digits
--   session CLIENT SERVER       the two keys of one connection: what the client and the server send
--
-- A capture that does not begin with the request has no protocol id, which is read from
-- `sockeye.protocol` then; its packets are decoded as Sockeye by hand (-d udp.port==7777,sockeye).

local proto = Proto("sockeye", "Sockeye lanes (netcode 1.02)")
proto.prefs.keys = Pref.string("Keys", "", "A file of keys")
proto.prefs.protocol = Pref.string("Protocol id", "0", "Where a capture has no request")

local VERSION, REQUEST, TAG = "NETCODE 1.02\0", 1078, 16
local TYPES = {
    [0] = "Request", "Denied", "Challenge", "Response", "Keep-alive", "Payload", "Disconnect",
    "Wide",
}

-- --- ciphers -----------------------------------------------------------------------------------

local bits = bit32 or bit
local band, bxor, rol, rshift = bits.band, bits.bxor, bits.lrotate or bits.rol, bits.rshift
local WORD = 4294967296

local function words(bytes)
    local all = {}
    for at = 1, #bytes, 4 do
        local a, b, c, d = bytes:byte(at, at + 3)
        all[#all + 1] = a + b * 256 + c * 65536 + d * 16777216
    end
    return all
end

local function little(word)
    return string.char(band(word, 255), band(rshift(word, 8), 255), band(rshift(word, 16), 255),
        band(rshift(word, 24), 255))
end

local function quarter(s, a, b, c, d)
    local x, y, z, w = s[a], s[b], s[c], s[d]
    x = (x + y) % WORD; w = rol(bxor(w, x), 16)
    z = (z + w) % WORD; y = rol(bxor(y, z), 12)
    x = (x + y) % WORD; w = rol(bxor(w, x), 8)
    z = (z + w) % WORD; y = rol(bxor(y, z), 7)
    s[a], s[b], s[c], s[d] = x, y, z, w
end

-- The state of ChaCha behind its rounds, and as it was (RFC 8439, 2.3).
local function rounds(key, last)
    local first = words("expand 32-byte k" .. key .. last)
    local s = { table.unpack(first) }
    for _ = 1, 10 do
        quarter(s, 1, 5, 9, 13); quarter(s, 2, 6, 10, 14)
        quarter(s, 3, 7, 11, 15); quarter(s, 4, 8, 12, 16)
        quarter(s, 1, 6, 11, 16); quarter(s, 2, 7, 12, 13)
        quarter(s, 3, 8, 9, 14); quarter(s, 4, 5, 10, 15)
    end
    return s, first
end

local function block(key, counter, nonce)
    local s, first = rounds(key, little(counter) .. nonce)
    for at = 1, 16 do s[at] = little((s[at] + first[at]) % WORD) end
    return table.concat(s)
end

local function chacha20(key, nonce, text)
    local out = {}
    for at = 1, #text, 64 do
        local stream = block(key, (at + 63) / 64, nonce)
        local part = { text:byte(at, math.min(at + 63, #text)) }
        for i = 1, #part do part[i] = string.char(band(bxor(part[i], stream:byte(i)), 255)) end
        out[#out + 1] = table.concat(part)
    end
    return table.concat(out)
end

-- Carries between the limbs of 8 bits of a number of 130, and folds what is above them.
local function carry(h)
    local u = 0
    for i = 0, 15 do
        u = u + h[i]; h[i] = u % 256; u = math.floor(u / 256)
    end
    u = u + h[16]; h[16] = u % 4; u = 5 * math.floor(u / 4)
    for i = 0, 15 do
        u = u + h[i]; h[i] = u % 256; u = math.floor(u / 256)
    end
    h[16] = h[16] + u
end

-- One-time authenticator (RFC 8439, 2.5).
local function poly1305(key, text)
    local r, h = { [16] = 0 }, {}
    for i = 0, 15 do r[i] = key:byte(i + 1) end
    for _, i in ipairs({ 3, 7, 11, 15 }) do r[i] = r[i] % 16 end
    for _, i in ipairs({ 4, 8, 12 }) do r[i] = r[i] - r[i] % 4 end
    for i = 0, 16 do h[i] = 0 end
    for at = 1, #text, 16 do
        local part = { text:byte(at, math.min(at + 15, #text)) }
        part[#part + 1] = 1
        for i = 1, #part do h[i - 1] = h[i - 1] + part[i] end
        local x = {}
        for i = 0, 16 do
            local sum = 0
            for j = 0, i do sum = sum + h[j] * r[i - j] end
            for j = i + 1, 16 do sum = sum + 320 * h[j] * r[i + 17 - j] end
            x[i] = sum
        end
        carry(x)
        h = x
    end
    -- Less the prime, where it is not below it.
    local less, u = {}, 5
    for i = 0, 16 do
        u = u + h[i]; less[i] = u % 256; u = math.floor(u / 256)
    end
    if less[16] >= 4 then h = less end
    local tag = {}
    u = 0
    for i = 0, 15 do
        u = u + h[i] + key:byte(i + 17); tag[i + 1] = string.char(u % 256); u = math.floor(u / 256)
    end
    return table.concat(tag)
end

local function padded(text)
    return text .. ("\0"):rep(-#text % 16)
end

-- The plaintext, or nil where the tag is another.
local function open(key, nonce, additional, sealed)
    if #sealed < TAG then return nil end
    local text, tag = sealed:sub(1, -TAG - 1), sealed:sub(-TAG)
    local lengths = little(#additional) .. "\0\0\0\0" .. little(#text) .. "\0\0\0\0"
    local once = block(key, 0, nonce):sub(1, 32)
    if poly1305(once, padded(additional) .. padded(text) .. lengths) ~= tag then return nil end
    return chacha20(key, nonce, text)
end

-- The same with a nonce of 24 bytes.
local function open_x(key, nonce, additional, sealed)
    local s = rounds(key, nonce:sub(1, 16))
    local parts = {}
    for _, at in ipairs({ 1, 2, 3, 4, 13, 14, 15, 16 }) do parts[#parts + 1] = little(s[at]) end
    return open(table.concat(parts), "\0\0\0\0" .. nonce:sub(17), additional, sealed)
end

-- --- keys and connections ----------------------------------------------------------------------

-- By the two addresses, and by the connection's id in wide packets; what was opened, by frame.
local sessions, by_id, opened = {}, {}, {}
local token_keys, session_keys = {}, {}

local function unhex(text)
    return #text == 64 and not text:find("%X") and
        text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end) or nil
end

function proto.init()
    sessions, by_id, opened = {}, {}, {}
    token_keys, session_keys = { ("\0"):rep(32) }, {}
    if proto.prefs.keys == "" then return end
    local file = io.open(proto.prefs.keys)
    if not file then return report_failure("sockeye: no file " .. proto.prefs.keys) end
    for line in file:lines() do
        local kind, one, other = line:match("^%s*(%a+)%s+(%x+)%s*(%x*)")
        local first, second = unhex(one or ""), unhex(other or "")
        if kind == "token" and first then table.insert(token_keys, first) end
        if kind == "session" and first and second then
            table.insert(session_keys, { first, second })
        end
    end
    file:close()
end

local function ends(pinfo)
    local from = tostring(pinfo.src) .. " " .. pinfo.src_port
    local to = tostring(pinfo.dst) .. " " .. pinfo.dst_port
    return from, to, from < to and from .. " " .. to or to .. " " .. from
end

local function raw(range)
    return range:bytes():raw()
end

-- A request: who asks, and the keys, where the token could be opened.
local function requested(tvb, pinfo)
    local from, _, pair = ends(pinfo)
    local nonce = raw(tvb(30, 24))
    local session = sessions[pair]
    if session and session.nonce == nonce then return session.private end
    session = { client = from, nonce = nonce, protocol = raw(tvb(14, 8)) }
    local additional = VERSION .. session.protocol .. raw(tvb(22, 8))
    for _, key in ipairs(token_keys) do
        session.private = open_x(key, nonce, additional, raw(tvb(54)))
        if session.private then break end
    end
    if session.private then
        local at = 17
        for _ = 1, words(session.private:sub(13, 16))[1] do
            at = at + (session.private:byte(at) == 1 and 7 or 19)
        end
        session.keys = { session.private:sub(at, at + 31), session.private:sub(at + 32, at + 63) }
    end
    sessions[pair] = session
    return session.private
end

local function protocol_of(text)
    local id, bytes = UInt64.new(tonumber(text) or 0), {}
    if text:find("^%d+$") then id = UInt64(text) end
    return little(id:lower()) .. little(id:higher())
end

-- Opens a sealed packet with what is known of its connection: the plaintext, whose it is (1: the
-- client's), and the connection. Its bytes from `at` on are sealed.
local function unsealed(tvb, pinfo, sequence, id, at)
    local from, _, pair = ends(pinfo)
    local nonce = "\0\0\0\0" .. sequence .. ("\0"):rep(8 - #sequence)
    local sealed = raw(tvb(at))
    local function try(session, key)
        local protocol = session.protocol or protocol_of(proto.prefs.protocol)
        return open(key, nonce, VERSION .. protocol .. raw(tvb(0, 1)) .. (id or ""), sealed)
    end
    local session = sessions[pair] or id and by_id[id]
    if session and session.keys then
        -- Who speaks from a new address says a known id: the server's stays.
        local first = from == session.client and 1 or 2
        for _, side in ipairs({ first, 3 - first }) do
            local plain = try(session, session.keys[side])
            if plain then
                if id then by_id[id] = session end
                return { plain, side, session }
            end
        end
    end
    for _, keys in ipairs(session_keys) do
        for side = 1, 2 do
            local plain = try(session or {}, keys[side])
            if plain then
                local known = session or {}
                known.keys, sessions[pair] = keys, known
                if side == 1 then known.client = from end
                if id then by_id[id] = known end
                return { plain, side, known }
            end
        end
    end
end

-- --- fields ------------------------------------------------------------------------------------

local f = {
    type = ProtoField.uint8("sockeye.type", "Type", base.DEC, TYPES, 0x0F),
    sequence_len = ProtoField.uint8("sockeye.sequence_len", "Bytes of the number", base.DEC, nil,
        0xF0),
    sequence = ProtoField.uint64("sockeye.sequence", "Number"),
    id = ProtoField.uint64("sockeye.connection", "Connection", base.HEX),
    sealed = ProtoField.bytes("sockeye.sealed", "Sealed"),
    version = ProtoField.string("sockeye.version", "Version"),
    protocol = ProtoField.uint64("sockeye.protocol", "Protocol id", base.HEX),
    expires = ProtoField.absolute_time("sockeye.token.expires", "Token expires", base.UTC),
    nonce = ProtoField.bytes("sockeye.token.nonce", "Token's nonce"),
    client = ProtoField.uint64("sockeye.token.client", "Client id"),
    timeout = ProtoField.int32("sockeye.token.timeout", "Timeout, s"),
    address = ProtoField.string("sockeye.token.address", "Server"),
    key_client = ProtoField.bytes("sockeye.token.key.client", "Key of the client"),
    key_server = ProtoField.bytes("sockeye.token.key.server", "Key of the server"),
    user_data = ProtoField.bytes("sockeye.token.user_data", "User data"),
    challenge = ProtoField.uint64("sockeye.challenge", "Challenge"),
    client_index = ProtoField.uint32("sockeye.client_index", "Client"),
    max_clients = ProtoField.uint32("sockeye.max_clients", "Most clients"),
    frame = ProtoField.string("sockeye.frame", "Frame"),
    hello = ProtoField.uint8("sockeye.hello.version", "Version"),
    kind = ProtoField.string("sockeye.hello.lane", "Lane"),
    number = ProtoField.uint64("sockeye.frame.number", "Number"),
    lane = ProtoField.uint8("sockeye.message.lane", "Lane", base.DEC, nil, 0x0F),
    message = ProtoField.uint64("sockeye.message.id", "Id"),
    total = ProtoField.uint64("sockeye.message.total", "Bytes of the whole"),
    offset = ProtoField.uint64("sockeye.message.offset", "Begins at"),
    data = ProtoField.bytes("sockeye.message.data", "Data"),
    largest = ProtoField.uint64("sockeye.ack.largest", "Newest acknowledged"),
    delay = ProtoField.uint64("sockeye.ack.delay", "Delay, 1/16 ms"),
    range = ProtoField.string("sockeye.ack.range", "Acknowledged"),
}
for _, field in pairs(f) do table.insert(proto.fields, field) end

local cut = ProtoExpert.new("sockeye.cut", "The packet ends within a frame", expert.group.MALFORMED,
    expert.severity.ERROR)
local strange = ProtoExpert.new("sockeye.strange", "A frame of no known kind",
    expert.group.UNDECODED, expert.severity.WARN)
proto.experts = { cut, strange }

-- --- frames ------------------------------------------------------------------------------------

local function whole(value)
    return ("%.0f"):format(value)
end

-- What reading fails with where the packet ends too early.
local CUT = {}

-- Reads a plaintext from its front on; numbers are QUIC's (RFC 9000, 16).
local Reader = {}
Reader.__index = Reader

function Reader:left()
    return self.tvb:len() - self.at
end

function Reader:take(count)
    if count > self:left() then error(CUT) end
    local range = self.tvb(self.at, count)
    self.at = self.at + count
    return range
end

function Reader:varint()
    if self:left() < 1 then error(CUT) end
    local count = 2 ^ math.floor(self.tvb(self.at, 1):uint() / 64)
    local range = self:take(count)
    local value = range(0, 1):uint() % 64
    for at = 1, count - 1 do value = value * 256 + range(at, 1):uint() end
    return value, range
end

-- A number with its place in the tree.
function Reader:number(tree, field, label)
    local value, range = self:varint()
    local item = tree:add(field, range, UInt64.new(value % WORD, math.floor(value / WORD)))
    if label then item:set_text(label .. ": " .. whole(value)) end
    return value
end

local frames = {}

frames[0] = function(reader)
    return "PADDING " .. reader:take(reader:left()):len() + 1
end

frames[1] = function()
    return "PING"
end

frames[2] = function(reader, tree)
    local newest = reader:number(tree, f.largest)
    reader:number(tree, f.delay)
    local count = reader:varint()
    local text, low = {}, newest
    for n = 0, count do
        local begun = reader.at
        if n > 0 then newest = low - reader:varint() - 2 end
        low = newest - reader:varint()
        if low < 0 then error(CUT) end
        text[#text + 1] = low == newest and whole(low) or whole(low) .. "-" .. whole(newest)
        tree:add(f.range, reader.tvb(begun, reader.at - begun), text[#text])
    end
    return "ACK " .. table.concat(text, ",")
end

frames[3] = function(reader, tree)
    return "WINDOW " .. whole(reader:number(tree, f.number, "Bytes that may be sent in all"))
end

frames[4] = function(reader, tree)
    local ends = reader:varint() + reader.at
    while reader.at < ends do reader:number(tree, f.number, "Messages of a reliable lane") end
    return "END"
end

local KINDS = { [0] = "ORDERED", "RELIABLE", "UNRELIABLE", "SEQUENCED" }

frames[5] = function(reader, tree, _, session)
    local ends = reader:varint() + reader.at
    tree:add(f.hello, reader:take(1))
    reader:number(tree, f.number, "Features")
    local largest = reader:number(tree, f.number, "Largest datagram")
    local id = reader:take(8)
    tree:add(f.id, id)
    if id:uint64() ~= UInt64(0) then by_id[raw(id):reverse()] = session end
    local count, kinds = reader:take(1):uint(), reader:take(4)
    for lane = 0, count - 1 do
        local kind = math.floor(kinds:uint() / 4 ^ lane) % 4
        tree:add(f.kind, kinds, ("%d %s"):format(lane, KINDS[kind]))
    end
    -- What a later version adds stands behind.
    reader:take(ends - reader.at)
    return "HELLO " .. whole(largest)
end

frames[6] = function(reader, tree)
    tree:add(f.data, reader:take(8))
    return "CHALLENGE"
end

frames[7] = function(reader, tree)
    tree:add(f.data, reader:take(8))
    return "RESPONSE"
end

frames[8] = function(reader, tree)
    for _, label in ipairs({ "Sent, µs", "Peer's newest, µs" }) do
        local range = reader:take(8)
        tree:add(f.number, range):set_text(label .. ": " .. tostring(range:uint64()))
    end
    reader:number(tree, f.number, "Which came so long ago, µs")
    return "CLOCK"
end

-- 1 f l d LLLL: a fragment, with a length, one that its sender has given up, and the lane.
local function message(reader, tree, kind)
    local lane = kind % 16
    tree:add(f.lane, reader.tvb(reader.at - 1, 1))
    local text = "MESSAGE " .. lane .. ":" .. whole(reader:number(tree, f.message))
    local part
    if band(kind, 0x40) ~= 0 then
        local total = reader:number(tree, f.total)
        part = " of " .. whole(total) .. " at " .. whole(reader:number(tree, f.offset))
    end
    if band(kind, 0x10) ~= 0 then part = (part or "") .. ", given up" end
    local count = reader:left()
    if band(kind, 0x20) ~= 0 then count = reader:varint() end
    if count > 0 then tree:add(f.data, reader:take(count)) end
    return text .. " (" .. whole(count) .. " B" .. (part or "") .. ")"
end

local function payload(plain, tree, pinfo, session)
    local reader, told = setmetatable({ tvb = plain, at = 0 }, Reader), {}
    while reader:left() > 0 do
        local begun, kind = reader.at, reader:take(1):uint()
        local branch = tree:add(f.frame, plain(begun), "")
        local read = kind >= 128 and message or frames[kind]
        if not read then
            branch:add_proto_expert_info(strange)
            break
        end
        local well, text = pcall(read, reader, branch, kind, session)
        if not well and text ~= CUT then error(text) end
        if not well then
            branch:add_proto_expert_info(cut)
            text = "cut"
        end
        branch:set_text(text)
        branch:set_len(reader.at - begun)
        told[#told + 1] = text
        if not well then break end
    end
    pinfo.cols.info:append(": " .. table.concat(told, ", "))
end

-- --- packets -----------------------------------------------------------------------------------

local function token(private, tree)
    local tvb = ByteArray.new(private, true):tvb("Token")
    local branch = tree:add(tvb(), "Token, opened")
    branch:add_le(f.client, tvb(0, 8))
    branch:add_le(f.timeout, tvb(8, 4))
    local at = 16
    for _ = 1, tvb(12, 4):le_uint() do
        local parts, host = {}, "%s"
        local count = tvb(at, 1):uint() == 1 and 4 or 16
        for n = 0, count - 1, count == 4 and 1 or 2 do
            local part = tvb(at + 1 + n, count == 4 and 1 or 2):le_uint()
            parts[#parts + 1] = (count == 4 and "%d" or "%x"):format(part)
        end
        if count == 16 then host = "[%s]" end
        host = host:format(table.concat(parts, count == 4 and "." or ":"))
        branch:add(f.address, tvb(at, count + 3), host .. ":" .. tvb(at + 1 + count, 2):le_uint())
        at = at + count + 3
    end
    branch:add(f.key_client, tvb(at, 32))
    branch:add(f.key_server, tvb(at + 32, 32))
    branch:add(f.user_data, tvb(at + 64, 256))
end

local function request(tvb, pinfo, tree)
    tree:add(f.version, tvb(1, 13))
    tree:add_le(f.protocol, tvb(14, 8))
    local expires = tvb(22, 8):le_uint64()
    tree:add(f.expires, tvb(22, 8), NSTime.new(expires:tonumber(), 0))
    tree:add(f.nonce, tvb(30, 24))
    tree:add(f.sealed, tvb(54))
    local private = requested(tvb, pinfo)
    if private then token(private, tree) end
end

local function contents(kind, plain, tree, pinfo, session)
    if kind == 2 or kind == 3 then
        tree:add_le(f.challenge, plain(0, 8))
        tree:add(f.sealed, plain(8))
    elseif kind == 4 then
        tree:add_le(f.client_index, plain(0, 4))
        tree:add_le(f.max_clients, plain(4, 4))
    elseif kind == 5 or kind == 7 then
        payload(plain, tree, pinfo, session)
    end
end

local function sealed(tvb, pinfo, tree, kind)
    local count = math.floor(tvb(0, 1):uint() / 16)
    local at, id = 1 + count, nil
    tree:add_le(f.sequence, tvb(1, count))
    pinfo.cols.info:append(" " .. tostring(tvb(1, count):le_uint64()))
    if kind == 7 then
        tree:add_le(f.id, tvb(at, 8))
        id, at = raw(tvb(at, 8)), at + 8
    end
    tree:add(f.sealed, tvb(at))
    local found = opened[pinfo.number]
    if found == nil then
        found = unsealed(tvb, pinfo, raw(tvb(1, count)), id, at) or false
        opened[pinfo.number] = found
    end
    if not found then return pinfo.cols.info:append(", sealed") end
    pinfo.cols.info:prepend(found[2] == 1 and "> " or "< ")
    if #found[1] == 0 then return end
    local plain = ByteArray.new(found[1], true):tvb("Opened")
    contents(kind, plain(), tree:add(plain(), "Opened"), pinfo, found[3])
end

-- What a packet is; nil: none of ours.
local function kind_of(tvb)
    if tvb:len() < 2 + TAG then return nil end
    if tvb(0, 1):uint() == 0 then
        return tvb:len() == REQUEST and raw(tvb(1, 13)) == VERSION and 0 or nil
    end
    local kind, count = tvb(0, 1):uint() % 16, math.floor(tvb(0, 1):uint() / 16)
    local least = 1 + count + (kind == 7 and 8 or 0) + TAG
    if kind < 1 or kind > 7 or count < 1 or count > 8 or tvb:len() < least then return nil end
    return kind
end

function proto.dissector(tvb, pinfo, root)
    local kind = kind_of(tvb)
    if not kind then return 0 end
    pinfo.cols.protocol = "Sockeye"
    pinfo.cols.info = TYPES[kind]
    local tree = root:add(proto, tvb(), "Sockeye, " .. TYPES[kind])
    tree:add(f.type, tvb(0, 1))
    tree:add(f.sequence_len, tvb(0, 1))
    if kind == 0 then request(tvb, pinfo, tree) else sealed(tvb, pinfo, tree, kind) end
    return tvb:len()
end

-- A request says what it is, and so does a wide packet of a connection that was seen before; what
-- follows between the same addresses is ours too.
proto:register_heuristic("udp", function(tvb, pinfo, root)
    local kind = kind_of(tvb)
    local known = kind == 7 and by_id[raw(tvb(1 + math.floor(tvb(0, 1):uint() / 16), 8))]
    if kind ~= 0 and not known then return false end
    pinfo.conversation = proto
    proto.dissector(tvb, pinfo, root)
    return true
end)
DissectorTable.get("udp.port"):add_for_decode_as(proto)
