//! The envelope of lanes beside others' implementations of netcode 1.02: `renetcode`, in memory,
//! and `netcode-official`, by the author of the standard, over UDP on loopback.

use renetcode::{
    ClientAuthentication, ConnectToken, NetcodeClient, NetcodeServer, ServerAuthentication,
    ServerConfig as TheirConfig, ServerResult,
};
use sockeye::transport::lanes::envelope::token::{self, Config};
use sockeye::transport::lanes::envelope::{
    Accepted, Answer, Client, ClientEvent, Connected, Failure, KeepAlive, Kind, OVERHEAD_MAX,
    Reason, Server, ServerConfig, Session,
};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PROTOCOL: u64 = 0x5EED_0F7E_A5E5;
const KEY: [u8; 32] = [0x42; 32];
const CLIENT: u64 = 77;
const UNIX_S: u64 = 1_800_000_000;
const TICK: Duration = Duration::from_millis(50);
/// No test waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn user_data() -> [u8; 256] {
    std::array::from_fn(|i| i as u8 ^ 0xA5)
}

fn our_token(server: SocketAddr, unix_s: u64) -> [u8; 2048] {
    let config = Config {
        protocol_id: PROTOCOL,
        key: KEY,
        client_id: CLIENT,
        expire_s: 30,
        timeout_s: 5,
        public: &[server],
        user_data: &user_data(),
        unix_s,
    };
    token::make(&config).expect("a token")
}

/// A packet of a connection, opened.
type Came = (Kind, Vec<u8>);

/// One server of ours with at most one client.
struct Ours {
    door: Server,
    client: Option<(SocketAddr, Box<Accepted>)>,
}

impl Ours {
    fn new(address: SocketAddr) -> Ours {
        let config = ServerConfig {
            protocol_id: PROTOCOL,
            key: KEY,
            addresses: vec![address],
            pending_max: 8,
            tokens_max: 8,
        };
        Ours { door: Server::new(config, [1; 32]), client: None }
    }

    /// A packet came. Answers what is sent back, and what came over the connection.
    fn handle(
        &mut self,
        from: SocketAddr,
        packet: &mut [u8],
        unix_s: u64,
    ) -> (Option<Vec<u8>>, Option<Came>) {
        if let Some((_, client)) = self.client.as_mut().filter(|(peer, _)| *peer == from) {
            return match client.session.open(packet) {
                Ok(opened) if opened.kind == Kind::Response => (Some(self.alive()), None),
                Ok(opened) => (None, Some((opened.kind, packet[opened.range].to_vec()))),
                Err(Reason::Malformed) => (None, None),
                Err(reason) => panic!("{reason:?}"),
            };
        }
        match self.door.handle(from, packet, true, unix_s, 0) {
            Answer::Nothing(reason) => panic!("{reason:?}"),
            Answer::Reply(reply) => (Some(reply), None),
            Answer::Accepted(client) => {
                self.client = Some((from, client));
                (Some(self.alive()), None)
            }
        }
    }

    fn alive(&mut self) -> Vec<u8> {
        let alive = KeepAlive { client_index: 5, max_clients: 256 };
        self.seal(Kind::KeepAlive, &alive.to_bytes())
    }

    fn seal(&mut self, kind: Kind, plain: &[u8]) -> Vec<u8> {
        let (_, client) = self.client.as_mut().expect("a client");
        seal(&mut client.session, kind, plain)
    }
}

fn seal(session: &mut Session, kind: Kind, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + OVERHEAD_MAX];
    let sequence = session.next;
    session.next += 1;
    let len = session.seal(kind, None, sequence, plain, &mut out);
    out.truncate(len);
    out
}

fn check(client: &Accepted) {
    assert_eq!((client.client_id, client.timeout_s), (CLIENT, 5));
    assert_eq!(client.user_data, user_data());
}

/// Payloads of all lengths that netcode has.
fn payloads() -> impl Iterator<Item = Vec<u8>> {
    [1, 2, 64, 255, 256, 1199, 1200].into_iter().map(|len| (0..len).map(|i| i as u8).collect())
}

/// Its connect tokens have the client's id in front of what the standard says.
fn for_renetcode(token: &[u8; 2048]) -> ConnectToken {
    let bytes = [&CLIENT.to_le_bytes()[..], token].concat();
    ConnectToken::read(&mut &bytes[..]).expect("renetcode reads it")
}

fn of_renetcode(token: &ConnectToken) -> [u8; 2048] {
    let mut bytes = Vec::new();
    token.write(&mut bytes).expect("a vector takes it");
    bytes.resize(8 + 2048, 0);
    bytes[8..].try_into().expect("2,048 bytes")
}

fn renetcode_token(server: SocketAddr) -> ConnectToken {
    let (unix, data) = (Duration::from_secs(UNIX_S), user_data());
    ConnectToken::generate(unix, PROTOCOL, 30, CLIENT, 5, vec![server], Some(&data), &KEY)
        .expect("a token")
}

#[test]
fn renetcode_as_client() {
    let (here, there) = ("127.0.0.1:7777".parse().unwrap(), "127.0.0.1:50000".parse().unwrap());
    let unix = Duration::from_secs(UNIX_S);
    for token in [renetcode_token(here), for_renetcode(&our_token(here, UNIX_S))] {
        let mut server = Ours::new(here);
        let authentication = ClientAuthentication::Secure { connect_token: token };
        let mut client = NetcodeClient::new(unix, authentication).expect("a client");
        for _ in 0..100 {
            if let Some((packet, to)) = client.update(TICK) {
                assert_eq!(to, here);
                if let (Some(mut reply), _) = server.handle(there, packet, UNIX_S) {
                    assert_eq!(client.process_packet(&mut reply), None);
                }
            }
            if client.is_connected() {
                break;
            }
        }
        assert!(client.is_connected());
        check(&server.client.as_ref().expect("a client").1);
        for payload in payloads() {
            let (_, packet) = client.generate_payload_packet(&payload).expect("a packet");
            let (_, came) = server.handle(there, packet, UNIX_S);
            assert_eq!(came, Some((Kind::Payload, payload.clone())));
            let mut back = server.seal(Kind::Payload, &payload);
            assert_eq!(client.process_packet(&mut back.clone()), Some(&payload[..]));
            assert_eq!(client.process_packet(&mut back), None, "replayed");
        }
        let (_, packet) = client.disconnect().expect("a packet");
        assert_eq!(server.handle(there, packet, UNIX_S).1, Some((Kind::Disconnect, vec![])));
    }
}

fn renetcode_server(here: SocketAddr, max_clients: usize) -> NetcodeServer {
    NetcodeServer::new(TheirConfig {
        current_time: Duration::from_secs(UNIX_S),
        max_clients,
        protocol_id: PROTOCOL,
        public_addresses: vec![here],
        authentication: ServerAuthentication::Secure { private_key: KEY },
    })
}

/// Speaks to a server of renetcode's until there is an event. Answers also whom it has accepted.
///
/// It writes the sequence number 0 with no bytes, where the standard wants one: what has it is
/// dropped, and comes again with the next number.
fn speak(client: &mut Client, server: &mut NetcodeServer) -> (ClientEvent, Option<Vec<u8>>) {
    let (from, mut accepted) = ("127.0.0.1:50000".parse().unwrap(), None);
    for tick in 0..100 {
        let now = tick * TICK.as_micros() as u64;
        server.update(TICK);
        let mut packet = [0; 1200];
        let mut replies = Vec::new();
        if let Some(len) = client.poll_transmit(&mut packet, now) {
            match server.process_packet(from, &mut packet[..len]) {
                ServerResult::PacketToSend { payload, .. } => replies.push(payload.to_vec()),
                ServerResult::ClientConnected { payload, user_data, client_id, .. } => {
                    assert_eq!(client_id, CLIENT);
                    accepted = Some(user_data.to_vec());
                    replies.push(payload.to_vec());
                }
                ServerResult::None => assert!(accepted.is_some()),
                other => panic!("{other:?}"),
            }
        }
        if let ServerResult::PacketToSend { payload, .. } = server.update_client(CLIENT) {
            replies.push(payload.to_vec());
        }
        for mut reply in replies {
            let without_number = reply[0] >> 4 == 0;
            match client.handle(&mut reply, now) {
                ClientEvent::Nothing => {}
                ClientEvent::Dropped(reason) => {
                    assert_eq!((reason, without_number), (Reason::Malformed, true));
                }
                event => return (event, accepted),
            }
        }
    }
    panic!("nothing comes of it");
}

#[test]
fn renetcode_as_server() {
    let (here, there) = ("127.0.0.1:7777".parse().unwrap(), "127.0.0.1:50000".parse().unwrap());
    for token in [of_renetcode(&renetcode_token(here)), our_token(here, UNIX_S)] {
        let mut server = renetcode_server(here, 4);
        let mut client = Client::new(&token, [2; 32], 0).expect("it is right");
        let (ClientEvent::Connected(connected), said) = speak(&mut client, &mut server) else {
            panic!("not connected");
        };
        let Connected { mut session, at, server: peer, timeout_s } = *connected;
        assert_eq!((at, peer), (KeepAlive { client_index: 0, max_clients: 4 }, here));
        assert_eq!((timeout_s, said), (5, Some(user_data().to_vec())));
        for payload in payloads() {
            let mut packet = seal(&mut session, Kind::Payload, &payload);
            let mut copy = packet.clone();
            let result = server.process_packet(there, &mut copy);
            let ServerResult::Payload { client_id, payload: came } = result else {
                panic!("{result:?}");
            };
            assert_eq!((client_id, came), (CLIENT, &payload[..]));
            let replayed = server.process_packet(there, &mut packet);
            assert_eq!(replayed, ServerResult::None);
            let (_, back) = server.generate_payload_packet(CLIENT, &payload).expect("a packet");
            let opened = session.open(back).expect("it opens");
            assert_eq!((opened.kind, &back[opened.range]), (Kind::Payload, &payload[..]));
        }
        let mut bye = seal(&mut session, Kind::Disconnect, &[]);
        let result = server.process_packet(there, &mut bye);
        assert!(matches!(result, ServerResult::ClientDisconnected { .. }), "{result:?}");
    }
}

#[test]
fn renetcode_as_server_without_room() {
    let here = "127.0.0.1:7777".parse().unwrap();
    let mut server = renetcode_server(here, 0);
    let mut client = Client::new(&our_token(here, UNIX_S), [2; 32], 0).expect("it is right");
    let (event, _) = speak(&mut client, &mut server);
    assert!(matches!(event, ClientEvent::Failed(Failure::Denied)));
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A socket of ours, and its address.
fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("it is taken");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut packet = vec![0; 2048];
    let (len, from) = socket.recv_from(&mut packet).ok()?;
    packet.truncate(len);
    Some((packet, from))
}

/// Does this until there is an answer.
fn until<T>(what: &str, start: Instant, mut step: impl FnMut(f64) -> Option<T>) -> T {
    loop {
        let now = start.elapsed();
        assert!(now < PATIENCE, "no {what}");
        if let Some(answer) = step(now.as_secs_f64()) {
            return answer;
        }
    }
}

fn official_token(server: SocketAddr) -> [u8; 2048] {
    let servers = &[server];
    let data = user_data();
    netcode::generate_connect_token(servers, servers, 30, 5, CLIENT, PROTOCOL, &KEY, &data)
        .expect("a token")
}

#[test]
fn netcode_official_as_client() {
    let start = Instant::now();
    for token in [official_token, |server| our_token(server, unix_s())] {
        let (socket, here) = socket();
        let token = token(here);
        let mut server = Ours::new(here);
        let any = "127.0.0.1:0".parse().unwrap();
        let mut client =
            netcode::Client::new(any, start.elapsed().as_secs_f64()).expect("a client");
        client.connect(&token).expect("it begins");
        let mut came = Vec::new();
        let step = |client: &mut netcode::Client, server: &mut Ours, now| {
            client.update(now);
            let (mut packet, from) = receive(&socket)?;
            let (reply, plain) = server.handle(from, &mut packet, unix_s());
            if let Some(reply) = reply {
                socket.send_to(&reply, from).expect("it leaves");
            }
            plain
        };
        until("connection", start, |now| {
            step(&mut client, &mut server, now);
            (client.state() == netcode::ClientState::Connected).then_some(())
        });
        assert_eq!((client.client_index(), client.max_clients()), (5, 256));
        check(&server.client.as_ref().expect("a client").1);
        let peer = server.client.as_ref().expect("a client").0;
        for payload in payloads() {
            client.send_packet(&payload).expect("it leaves");
            let there = until("payload", start, |now| {
                step(&mut client, &mut server, now).filter(|(kind, _)| *kind == Kind::Payload)
            });
            assert_eq!(there.1, payload);
            socket.send_to(&server.seal(Kind::Payload, &payload), peer).expect("it leaves");
            came.push(until("payload back", start, |now| {
                client.update(now);
                client.receive_packet()
            }));
            assert_eq!(came.last().expect("one").0, payload);
        }
        client.disconnect();
        until("end", start, |now| {
            step(&mut client, &mut server, now).filter(|(kind, _)| *kind == Kind::Disconnect)
        });
    }
}

#[test]
fn netcode_official_as_server() {
    let start = Instant::now();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut server = netcode::Server::new(any, PROTOCOL, &KEY, 0.0).expect("a server");
    server.start(3).expect("it starts");
    let here = server.address();
    for token in [official_token(here), our_token(here, unix_s())] {
        let (socket, _) = socket();
        let mut client = Client::new(&token, [3; 32], 0).expect("it is right");
        let connected = until("connection", start, |seconds| {
            let now = start.elapsed().as_micros() as u64;
            server.update(seconds);
            let mut out = [0; 1200];
            if let Some(len) = client.poll_transmit(&mut out, now) {
                socket.send_to(&out[..len], client.peer()).expect("it leaves");
            }
            let (mut packet, from) = receive(&socket)?;
            assert_eq!(from, client.peer());
            match client.handle(&mut packet, now) {
                ClientEvent::Connected(connected) => Some(connected),
                ClientEvent::Failed(failure) => panic!("{failure:?}"),
                _ => None,
            }
        });
        let Connected { mut session, at, .. } = *connected;
        assert_eq!(at, KeepAlive { client_index: 0, max_clients: 3 });
        assert_eq!((server.client_id(0), server.client_user_data(0)), (CLIENT, Some(&user_data())));
        for payload in payloads() {
            let packet = seal(&mut session, Kind::Payload, &payload);
            socket.send_to(&packet, here).expect("it leaves");
            let came = until("payload", start, |now| {
                server.update(now);
                server.receive_packet(0)
            });
            assert_eq!(came.0, payload);
            server.send_packet(0, &payload).expect("it leaves");
            let back = until("payload back", start, |now| {
                server.update(now);
                let (mut packet, _) = receive(&socket)?;
                let opened = session.open(&mut packet).expect("it opens");
                (opened.kind == Kind::Payload).then(|| packet[opened.range].to_vec())
            });
            assert_eq!(back, payload);
        }
        let bye = seal(&mut session, Kind::Disconnect, &[]);
        socket.send_to(&bye, here).expect("it leaves");
        until("end", start, |now| {
            server.update(now);
            (server.num_connected_clients() == 0).then_some(())
        });
    }
}
