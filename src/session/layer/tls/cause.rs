//! Why TLS failed.

use crate::session::event::Cause;
use rustls::{CertificateError, Error};

/// The cause that an error closes a connection with.
pub fn of(error: &Error) -> Cause {
    match error {
        Error::AlertReceived(_) => Cause::TlsAlert,
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => Cause::TlsCertificateUntrusted,
        _ => Cause::TlsProtocol,
    }
}

fn of_certificate(error: &CertificateError) -> Cause {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    match error {
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => {
            Cause::TlsCertificateExpired
        }
        NotValidForName | NotValidForNameContext { .. } => Cause::TlsCertificateName,
        _ => Cause::TlsCertificateUntrusted,
    }
}
