//! Connect tokens.

use super::*;
use crate::transport::lanes::envelope::token::{Error, Public};
use crate::transport::lanes::envelope::{TokenError, USER_DATA};

/// Where the parts of a token begin.
const CREATE: usize = 21;
const EXPIRE: usize = 29;
const COUNT: usize = 13 + 8 + 8 + 8 + 24 + 1024 + 4;

#[test]
fn what_no_token_can_be_made_of() {
    fn make(public: &[SocketAddr], user_data: &[u8]) -> Result<[u8; TOKEN], Error> {
        token::make(&Config { public, user_data, ..config(1, &[]) })
    }
    assert_eq!(make(&[], &[]), Err(Error::Addresses));
    assert_eq!(make(&[here(); 33], &[]), Err(Error::Addresses));
    assert_eq!(make(&[here()], &[0; USER_DATA + 1]), Err(Error::UserData));
    let longest = [address("[2001:db8::1]:1"); 32];
    let token = make(&longest, &[1; USER_DATA]).expect("a token");
    let public = Public::read(&token).expect("it is right");
    assert_eq!(public.servers, longest);
    let addresses = vec![longest[0]];
    let mut server = Server::new(ServerConfig { addresses, ..server_config() }, [0; 32]);
    let (accepted, _) = connect(&mut server, &mut client(&token, 0), player(1));
    assert_eq!(accepted.user_data, [1; USER_DATA]);
}

#[test]
fn no_two_are_alike() {
    let (one, other) = (token(1), token(1));
    let read = |token| Public::read(token).expect("it is right");
    let (one, other) = (read(&one), read(&other));
    assert_ne!(one.nonce, other.nonce);
    assert_ne!(one.keys.send, other.keys.send);
    assert_ne!(one.keys.receive, other.keys.receive);
    assert_ne!(one.keys.send, one.keys.receive);
}

#[test]
fn one_that_never_expires() {
    let public = &[here()];
    let token = token::make(&Config { expire_s: u64::MAX, ..config(1, public) });
    let token = token.expect("a token");
    let mut client = client(&token, 0);
    connect(&mut server(), &mut client, player(1));
}

#[test]
fn what_a_client_refuses() {
    let new = |change: &dyn Fn(&mut [u8; TOKEN])| {
        let mut token = token(1);
        change(&mut token);
        Client::new(&token, [7; 32], 0).err()
    };
    assert_eq!(new(&|_| {}), None);
    assert_eq!(new(&|token| token[11] = b'1'), Some(TokenError::Version));
    assert_eq!(new(&|token| token[12] = 1), Some(TokenError::Version));
    // Created later than it expires.
    let later = |token: &mut [u8; TOKEN]| token.copy_within(EXPIRE..EXPIRE + 8, CREATE);
    assert_eq!(new(&later), None);
    let later = |token: &mut [u8; TOKEN]| {
        later(token);
        token[CREATE] += 1;
    };
    assert_eq!(new(&later), Some(TokenError::Invalid));
    assert_eq!(new(&|token| token[COUNT] = 0), Some(TokenError::Invalid));
    assert_eq!(new(&|token| token[COUNT] = 33), Some(TokenError::Invalid));
    assert_eq!(new(&|token| token[COUNT + 3] = 1), Some(TokenError::Invalid));
    for kind in [0, 3, 255] {
        assert_eq!(new(&|token| token[COUNT + 4] = kind), Some(TokenError::Invalid));
    }
    assert_eq!(new(&|token| token.fill(0xFF)), Some(TokenError::Version));
}
