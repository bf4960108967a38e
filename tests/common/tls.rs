//! Certificates of a test, and endpoints that have them.

use super::words::OK;
use rcgen::{CertificateParams, Issuer, KeyPair};
use sockeye::capi::tls::{sockeye_tls, sockeye_tls_init};
use std::ffi::CString;
use std::mem::{MaybeUninit, size_of};

/// A certificate and its key, as PEM.
pub struct Pair {
    pub cert: CString,
    pub key: CString,
}

/// An authority of a test.
pub struct Authority {
    pub cert: CString,
    issuer: Issuer<'static, KeyPair>,
}

fn text(text: String) -> CString {
    CString::new(text).expect("PEM has no NUL")
}

impl Authority {
    /// One that nobody knew before.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let cert = text(params.self_signed(&key).expect("a certificate").pem());
        Authority { cert, issuer: Issuer::new(params, key) }
    }

    /// A certificate of these names, changed.
    pub fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { cert: text(cert.pem()), key: text(key.serialize_pem()) }
    }
}

/// The defaults, with changes.
pub fn tls(change: impl FnOnce(&mut sockeye_tls)) -> sockeye_tls {
    let mut tls = MaybeUninit::<sockeye_tls>::zeroed();
    // SAFETY: the struct is numbers and pointers, writable, and its size is given.
    let mut tls = unsafe {
        assert_eq!(sockeye_tls_init(tls.as_mut_ptr(), size_of::<sockeye_tls>()), OK);
        tls.assume_init()
    };
    change(&mut tls);
    tls
}

/// A server that shows this certificate.
pub fn server(pair: &Pair) -> sockeye_tls {
    tls(|tls| (tls.cert_pem, tls.key_pem) = (pair.cert.as_ptr(), pair.key.as_ptr()))
}

/// A client that trusts this authority alone.
pub fn client(authority: &Authority) -> sockeye_tls {
    tls(|tls| (tls.verify, tls.ca_pem) = (1, authority.cert.as_ptr()))
}
