//! NULL for every pointer of every function.

use super::message::message;
use super::{ERR_INVALID, Net, OK};
use sockeye::capi::address::*;
use sockeye::capi::admit::*;
use sockeye::capi::buffer::*;
use sockeye::capi::callback::*;
use sockeye::capi::config::*;
use sockeye::capi::conn::*;
use sockeye::capi::datagram::*;
use sockeye::capi::endpoint::*;
use sockeye::capi::event::*;
use sockeye::capi::fault::{sockeye_fault, sockeye_fault_init, sockeye_fault_set};
use sockeye::capi::guard::*;
use sockeye::capi::listener::*;
use sockeye::capi::log::*;
use sockeye::capi::message::*;
use sockeye::capi::metrics::*;
use sockeye::capi::model::*;
use sockeye::capi::net::*;
use sockeye::capi::queue::*;
use sockeye::capi::resolve::*;
use sockeye::capi::stats::*;
use sockeye::capi::status::*;
use sockeye::capi::tcp::*;
use sockeye::capi::timer::*;
use sockeye::capi::token::*;
use sockeye::capi::words::*;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

const NO_CONN: sockeye_conn = sockeye_conn { id: 0 };
const NO_TIMER: sockeye_timer = sockeye_timer { id: 0 };
const NO_DOOR: sockeye_listener = sockeye_listener { id: 0 };
const LOCAL: sockeye_address = sockeye_address {
    family: 4,
    port: 9,
    scope_id: 0,
    bytes: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    local: [0; 16],
};
const URL: *const std::ffi::c_char = c"tcp://127.0.0.1:0".as_ptr();

/// Asserts the answer of each call.
macro_rules! answers {
    ($status:expr; $($call:expr),+ $(,)?) => {
        $(
            // SAFETY: NULL is what is tested; every other pointer is to a live value.
            assert_eq!(unsafe { $call }, $status, "{}", stringify!($call));
        )+
    };
}

/// A value of zeros, to be written or read by a call that has to refuse.
fn zero<T>() -> T {
    // SAFETY: the structs of the ABI are plain numbers and pointers.
    unsafe { MaybeUninit::<T>::zeroed().assume_init() }
}

#[test]
fn no_net_for_life_and_doors() {
    let net = null_mut();
    let (mut door, mut conn) = (NO_DOOR, NO_CONN);
    answers! { ERR_INVALID;
        sockeye_shutdown(net, 0),
        sockeye_listen(net, URL, null(), &mut door),
        sockeye_connect(net, URL, null(), &mut conn),
        sockeye_listener_close(net, NO_DOOR),
    }
    assert_eq!((door, conn), (NO_DOOR, NO_CONN), "nothing is written");
}

#[test]
fn no_net_for_the_daily_calls() {
    let net = null_mut();
    let mut event = zero::<sockeye_event>();
    let mut timer = NO_TIMER;
    answers! { ERR_INVALID;
        sockeye_send(net, NO_CONN, b"x".as_ptr().cast(), 1),
        sockeye_send_many(net, &NO_CONN, 1, b"x".as_ptr().cast(), 1, null_mut()),
        sockeye_send_message(net, &NO_CONN, 1, &message(&[]), null_mut()),
        sockeye_send_to(net, NO_DOOR, &LOCAL, b"x".as_ptr().cast(), 1),
        sockeye_listener_join(net, NO_DOOR, &LOCAL, 0),
        sockeye_listener_leave(net, NO_DOOR, &LOCAL, 0),
        sockeye_close(net, NO_CONN, 0),
        sockeye_close_with(net, NO_CONN, 0, b"x".as_ptr().cast(), 1),
        sockeye_conn_pause(net, NO_CONN),
        sockeye_conn_resume(net, NO_CONN),
        sockeye_conn_set_user_data(net, NO_CONN, 1),
        sockeye_conn_set_queue(net, NO_CONN, 0),
        sockeye_set_callback(net, 0, None, null_mut()),
        sockeye_poll_events(net, null_mut(), 0, 0),
        sockeye_poll_events(net, &mut event, 1, 0),
        sockeye_queue_poll_events(net, 0, &mut event, 1, 0),
        sockeye_flush(net),
        sockeye_queue_flush(net, 0),
        sockeye_post(net, 0, 1, 1),
        sockeye_wake(net, 0),
        sockeye_resolve(net, 0, c"localhost".as_ptr(), null(), 1),
        sockeye_resolve_address(net, 0, &LOCAL, 1),
        sockeye_timer_start(net, 0, 1, 1, 1, &mut timer),
        sockeye_timer_stop(net, NO_TIMER),
        sockeye_set_log(net, None, null_mut(), 0),
        sockeye_set_admit(net, None, null_mut()),
    }
}

#[test]
fn no_net_for_facts_and_buffers() {
    let net = null_mut();
    let event = zero::<sockeye_event>();
    let mut buffer = zero::<sockeye_buffer>();
    let mut handle = 0;
    answers! { ERR_INVALID;
        sockeye_wait_handle(net, 0, &mut handle),
        sockeye_wait_port(net, 0, 1, 1),
        sockeye_buffer_acquire(net, 1, &mut buffer),
        sockeye_event_hold(net, &event, &mut buffer),
        sockeye_net_get_info(net, &mut zero(), size_of::<sockeye_net_info>()),
        sockeye_net_get_stats(net, &mut zero(), size_of::<sockeye_net_stats>()),
        sockeye_listener_get_info(net, NO_DOOR, &mut zero(), size_of::<sockeye_listener_info>()),
        sockeye_listener_get_stats(net, NO_DOOR, &mut zero(), size_of::<sockeye_listener_stats>()),
        sockeye_conn_get_info(net, NO_CONN, &mut zero(), size_of::<sockeye_conn_info>()),
        sockeye_conn_get_stats(net, NO_CONN, &mut zero(), size_of::<sockeye_conn_stats>()),
        sockeye_conns_get_stats(net, &NO_CONN, 1, &mut zero(), size_of::<sockeye_conn_stats>()),
        sockeye_metrics_write(net, null_mut(), 0, &mut 0),
        sockeye_conn_get_tcp_info(net, NO_CONN, &mut zero(), size_of::<sockeye_tcp_info>()),
        sockeye_conns_get_tcp_info(net, &NO_CONN, 1, &mut zero(), size_of::<sockeye_tcp_info>()),
        sockeye_metrics_listen(net, URL, &mut 0),
        sockeye_metrics_close(net),
        sockeye_net_get_histogram(net, 0, &mut zero(), size_of::<sockeye_histogram>()),
        sockeye_queue_get_stats(net, 0, &mut zero(), size_of::<sockeye_queue_stats>()),
    }
}

#[test]
fn no_room_for_the_answer() {
    let net = Net::new();
    answers! { ERR_INVALID;
        sockeye_init(null(), null_mut()),
        sockeye_listen(net.0, URL, null(), null_mut()),
        sockeye_connect(net.0, c"tcp://127.0.0.1:9".as_ptr(), null(), null_mut()),
        sockeye_poll_events(net.0, null_mut(), 1, 0),
        sockeye_queue_poll_events(net.0, 0, null_mut(), 1, 0),
        sockeye_wait_handle(net.0, 0, null_mut()),
        sockeye_buffer_acquire(net.0, 1, null_mut()),
        sockeye_event_hold(net.0, &zero(), null_mut()),
        sockeye_net_get_info(net.0, null_mut(), size_of::<sockeye_net_info>()),
        sockeye_net_get_stats(net.0, null_mut(), size_of::<sockeye_net_stats>()),
        sockeye_metrics_write(net.0, null_mut(), 0, null_mut()),
        sockeye_metrics_write(net.0, null_mut(), 1, &mut 0),
        sockeye_metrics_listen(net.0, null(), &mut 0),
        sockeye_net_get_histogram(net.0, 0, null_mut(), size_of::<sockeye_histogram>()),
        sockeye_queue_get_stats(net.0, 0, null_mut(), size_of::<sockeye_queue_stats>()),
        sockeye_conns_get_tcp_info(net.0, &NO_CONN, 1, null_mut(), size_of::<sockeye_tcp_info>()),
        sockeye_model_probe(0, null_mut(), size_of::<sockeye_model_info>()),
        sockeye_model_from_name(c"epoll".as_ptr(), null_mut()),
        sockeye_config_init(null_mut(), size_of::<sockeye_config>()),
        sockeye_endpoint_init(null_mut(), size_of::<sockeye_endpoint>()),
        sockeye_message_init(null_mut(), size_of::<sockeye_message>()),
        sockeye_guard_init(null_mut(), size_of::<sockeye_guard>()),
        sockeye_guard_set(null_mut(), std::ptr::null(), 0),
        sockeye_guard_ban(null_mut(), &LOCAL, 32, 1),
        sockeye_guard_get_stats(null_mut(), null_mut(), 64),
        sockeye_fault_init(null_mut(), size_of::<sockeye_fault>()),
        sockeye_fault_set(null_mut(), 0, &sockeye_fault::default()),
        sockeye_token_config_init(null_mut(), size_of::<sockeye_token_config>()),
        sockeye_token_make(null(), [0; 2048].as_mut_ptr()),
        sockeye_token_make(&sockeye_token_config::default(), null_mut()),
        sockeye_os_error_text(1, null_mut(), 10),
        sockeye_address_parse(c"127.0.0.1:1".as_ptr(), null_mut()),
        sockeye_address_format(&zero(), null_mut(), 64),
        sockeye_address_format_ip(&zero(), null_mut(), 64),
        sockeye_address_to_sockaddr(&LOCAL, null_mut(), 128, &mut 0),
        sockeye_address_from_sockaddr([0_u8; 16].as_ptr().cast(), 16, null_mut()),
    }
}

#[test]
fn no_room_for_facts_of_live_handles() {
    let net = Net::new();
    let (mut door, mut conn) = (NO_DOOR, NO_CONN);
    answers! { OK;
        sockeye_listen(net.0, URL, null(), &mut door),
        sockeye_connect(net.0, c"tcp://127.0.0.1:9".as_ptr(), null(), &mut conn),
    }
    answers! { ERR_INVALID;
        sockeye_listener_get_info(net.0, door, null_mut(), size_of::<sockeye_listener_info>()),
        sockeye_conn_get_info(net.0, conn, null_mut(), size_of::<sockeye_conn_info>()),
        sockeye_conn_get_stats(net.0, conn, null_mut(), size_of::<sockeye_conn_stats>()),
        sockeye_conns_get_stats(net.0, &conn, 1, null_mut(), size_of::<sockeye_conn_stats>()),
        sockeye_conns_get_stats(net.0, null(), 1, &mut zero(), size_of::<sockeye_conn_stats>()),
        sockeye_send(net.0, conn, null(), 1),
        sockeye_close_with(net.0, conn, 0, null(), 1),
        sockeye_send_many(net.0, null(), 1, b"x".as_ptr().cast(), 1, null_mut()),
        sockeye_send_many(net.0, &conn, 1, null(), 1, null_mut()),
        sockeye_send_message(net.0, null(), 1, &message(&[]), null_mut()),
        sockeye_send_message(net.0, &conn, 1, null(), null_mut()),
        sockeye_send_message(net.0, null(), 0, null(), null_mut()),
    }
}

#[test]
fn no_address_of_a_datagram() {
    let net = Net::new();
    let mut door = NO_DOOR;
    let unknown = sockeye_address { family: 5, ..LOCAL };
    let stats = size_of::<sockeye_listener_stats>();
    answers! { OK;
        sockeye_listen(net.0, c"udp://127.0.0.1:0".as_ptr(), null(), &mut door),
        sockeye_send_to(net.0, door, &LOCAL, null(), 0),
    }
    answers! { ERR_INVALID;
        sockeye_send_to(net.0, door, null(), b"x".as_ptr().cast(), 1),
        sockeye_send_to(net.0, door, &zero(), b"x".as_ptr().cast(), 1),
        sockeye_send_to(net.0, door, &unknown, b"x".as_ptr().cast(), 1),
        sockeye_send_to(net.0, door, &LOCAL, null(), 1),
        sockeye_send_to(net.0, door, &LOCAL, b"x".as_ptr().cast(), usize::MAX),
        sockeye_listener_join(net.0, door, null(), 0),
        sockeye_listener_leave(net.0, door, null(), 0),
        sockeye_listener_join(net.0, door, &unknown, 0),
        sockeye_listener_get_stats(net.0, door, null_mut(), stats),
    }
    // SAFETY: NULL, and events of zeros and of no data.
    unsafe {
        let event = sockeye_event { kind: 3, ..zero() };
        assert!(sockeye_event_address(null()).is_null());
        assert!(sockeye_event_address(&zero()).is_null());
        assert!(sockeye_event_address(&event).is_null());
    }
}

#[test]
fn no_text_and_no_input() {
    let net = Net::new();
    let (mut door, mut conn) = (NO_DOOR, NO_CONN);
    let mut text = [0; 64];
    answers! { ERR_INVALID;
        sockeye_listen(net.0, null(), null(), &mut door),
        sockeye_connect(net.0, null(), null(), &mut conn),
        sockeye_model_from_name(null(), &mut 0),
        sockeye_resolve(net.0, 0, null(), null(), 1),
        sockeye_resolve(net.0, 0, c"".as_ptr(), null(), 1),
        sockeye_resolve(net.0, 0, c"localhost".as_ptr(), c"".as_ptr(), 1),
        sockeye_resolve(net.0, 0, c"localhost".as_ptr(), c"65536".as_ptr(), 1),
        sockeye_resolve(net.0, 1, c"localhost".as_ptr(), null(), 1),
        sockeye_resolve_address(net.0, 0, null(), 1),
        sockeye_resolve_address(net.0, 0, &zero(), 1),
        sockeye_resolve_address(net.0, u32::MAX, &LOCAL, 1),
        sockeye_event_hold(net.0, null(), &mut zero()),
        sockeye_buffer_release(null_mut()),
        sockeye_address_parse(null(), &mut zero()),
        sockeye_address_format(null(), text.as_mut_ptr(), 64),
        sockeye_address_format_ip(null(), text.as_mut_ptr(), 64),
        sockeye_address_format_ip(&zero(), text.as_mut_ptr(), 64),
        sockeye_address_to_sockaddr(null(), text.as_mut_ptr().cast(), 64, &mut 0),
        sockeye_address_to_sockaddr(&zero(), text.as_mut_ptr().cast(), 64, &mut 0),
        sockeye_address_from_sockaddr(null(), 16, &mut zero()),
        sockeye_address_from_sockaddr(text.as_ptr().cast(), 0, &mut zero()),
        sockeye_address_from_sockaddr(text.as_ptr().cast(), 64, &mut zero()),
    }
}

/// Where NULL is fine.
#[test]
fn null_where_it_is_allowed() {
    let net = Net::new();
    let mut door = NO_DOOR;
    let (conns, data) = (null(), null());
    answers! { OK;
        sockeye_free(null_mut()),
        sockeye_set_log(net.0, None, null_mut(), 0),
        sockeye_set_log(net.0, None, null_mut(), 3),
        sockeye_listen(net.0, URL, null(), &mut door),
        sockeye_send_many(net.0, conns, 0, data, 0, null_mut()),
        sockeye_send_message(net.0, conns, 0, &message(&[]), null_mut()),
        sockeye_conns_get_stats(net.0, conns, 0, null_mut(), size_of::<sockeye_conn_stats>()),
        sockeye_buffer_release(&mut zero()),
    }
    // No bytes of a connection that is not: the handle is what is wrong then.
    let stale = sockeye_status_code::SOCKEYE_ERR_STALE as i32;
    answers! { stale;
        sockeye_send(net.0, NO_CONN, null(), 0),
        sockeye_close_with(net.0, NO_CONN, 0, null(), 0),
    }
}

/// Lengths that no memory can have, arrays without room, numbers that mean nothing.
#[test]
fn impossible_lengths() {
    let net = Net::new();
    let mut event = zero::<sockeye_event>();
    answers! { ERR_INVALID;
        sockeye_send(net.0, NO_CONN, b"x".as_ptr().cast(), usize::MAX),
        sockeye_close_with(net.0, NO_CONN, 0, b"x".as_ptr().cast(), usize::MAX / 2 + 1),
        sockeye_send_many(net.0, &NO_CONN, usize::MAX, b"x".as_ptr().cast(), 1, null_mut()),
        sockeye_send_message(net.0, &NO_CONN, usize::MAX, &message(&[]), null_mut()),
        sockeye_send_message(net.0, &NO_CONN, 1 << 31, &message(&[]), null_mut()),
        sockeye_poll_events(net.0, &mut event, 0, 0),
        sockeye_poll_events(net.0, &mut event, -1, 0),
        sockeye_poll_events(net.0, &mut event, i32::MIN, 0),
        sockeye_poll_events(net.0, &mut event, 1, -2),
        sockeye_queue_poll_events(net.0, 1, &mut event, 1, 0),
        sockeye_queue_poll_events(net.0, u32::MAX, &mut event, 1, 0),
        sockeye_set_log(net.0, None, null_mut(), 4),
        sockeye_set_log(net.0, None, null_mut(), u32::MAX),
    }
}
