//! Rule 8: nothing of ours reaches the host. No panic, no output, no descriptor in another program.

use crate::common::event::Kind;
use crate::common::process::{closes_on_exec, descriptors};
use crate::common::words::*;
use crate::common::{Setup, child, suite};

suite! {
    each: descriptors_close_on_exec, no_output;
}

/// Rule 8: every descriptor of ours is CLOEXEC: sockets, doorbells, the model's own.
pub fn descriptors_close_on_exec(setup: Setup) {
    child::alone(setup, || {
        let before = descriptors();
        let mut host = setup.host();
        let door = host.door("");
        let (_peer, conn) = host.meet(door);
        host.connect(&format!("tcp://localhost:{}", door.port));
        host.until("OPENED of three", |host| host.count(Kind::Opened) == 3);
        if setup.drive.has_threads() {
            host.net.wait_handle(0).expect("a wait handle");
        }
        assert_eq!(host.net.close(conn, AT_ONCE), OK);
        host.closed(conn);
        let ours: Vec<i32> = descriptors().difference(&before).copied().collect();
        assert!(ours.len() >= 4, "there is something to look at: {ours:?}");
        for descriptor in ours {
            assert!(closes_on_exec(descriptor), "{descriptor} of {:?}", setup.name);
        }
        host.finish();
    });
}

/// Rule 8: not a byte on the host's output or error output, whatever happens.
pub fn no_output(setup: Setup) {
    if child::role().as_deref() == Some("scenario") {
        println!("\n#begin");
        scenario(setup);
        println!("#end");
        return;
    }
    let output = child::command(setup, "scenario", &[]).output().expect("the program runs");
    let words = String::from_utf8(output.stdout).expect("words");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}{errors}");
    assert!(words.contains("\n#begin\n#end\n"), "{words}");
    assert_eq!(errors, "");
}

/// A bit of everything that a library might be tempted to talk about.
fn scenario(setup: Setup) {
    let mut host = setup.host();
    host.net.listen("nonsense", None).expect_err("no URL");
    let door = host.door("?frame=u32be&max=100");
    let (mut liar, conn) = host.meet(door);
    liar.put(&[0xFF; 100]);
    host.closed(conn);
    let (peer, conn) = host.meet(door);
    peer.reset();
    host.closed(conn);
    let refused = host.connect("tcp://127.0.0.1:1");
    host.closed(refused);
    let (_peer, conn) = host.meet(door);
    let _ = host.net.send(conn, &[0; 101]);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    let (_left, _) = host.meet(door);
    host.finish();
}
