//! Groups: rooms of connections, with one send to all members.

use super::boundary::{copy_sized, fail, guard, guard_send, in_words, same_fields, write_sized};
use super::conn::sockeye_conn;
use super::message::sockeye_message;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Kind, Message};

/// A group of one net: an old one, or one of another net, answers ERR_STALE for as long as the
/// process lives. `{0}` is none.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct sockeye_group {
    /// Opaque.
    pub id: u64,
}

/// What a group has counted since it was made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_group_stats {
    /// `sizeof(sockeye_group_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Members now.
    pub members: u32,
    /// Members that had no room for the last message that they were to be given.
    pub full: u32,
    /// Must be ignored.
    pub reserved: u32,
    /// Messages sent to the group.
    pub sends: u64,
    /// Messages that members took.
    pub delivered: u64,
    /// Messages that members did not take: no room, too big for them, or closed already.
    pub skipped: u64,
}

const _: () = assert!(size_of::<sockeye_group_stats>() == 40);

/// Makes a group without members: a room, a zone, an audience. A connection may be in up to
/// `conn_groups_max` groups, and leaves them all when it is closed.
///
/// Ownership: `out_group` is the caller's. The group lives until `sockeye_group_destroy`.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL); ERR_LIMIT (`groups_max` is reached); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_create(
    net: *mut sockeye_net,
    out_group: *mut sockeye_group,
) -> sockeye_status {
    guard(|| {
        if out_group.is_null() {
            return Err(fail(Error::Invalid, "out_group is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        let out = |id| unsafe { out_group.write(sockeye_group { id }) };
        net.create_group(out).map_err(in_words)
    })
}

/// Ends a group. Its members stay connected, and are given what was sent to it before.
///
/// NULL:      not allowed.
/// Threads:   any thread. It takes a moment for each member.
/// Returns:   OK; ERR_STALE (no such group); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_destroy(
    net: *mut sockeye_net,
    group: sockeye_group,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        net.destroy_group(net.token(group.id, Kind::Group)?)
    })
}

/// Adds a connection to a group: it is given what is sent to the group from now on. One that is a
/// member already stays one.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_STALE (no such group or connection); ERR_CLOSED (the connection is about to
///            end); ERR_LIMIT (it is in `conn_groups_max` groups); ERR_UNSUPPORTED (a `udp://`
///            connection); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_add(
    net: *mut sockeye_net,
    group: sockeye_group,
    conn: sockeye_conn,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let group = net.token(group.id, Kind::Group)?;
        net.add_to_group(group, net.token(conn.id, Kind::Conn)?)
    })
}

/// Removes a connection from a group. It is given what was sent to the group before.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_STALE (no such group or connection, or it is not a member); ERR_UNSUPPORTED
///            (a `udp://` connection); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_remove(
    net: *mut sockeye_net,
    group: sockeye_group,
    conn: sockeye_conn,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let group = net.token(group.id, Kind::Group)?;
        net.remove_from_group(group, net.token(conn.id, Kind::Conn)?)
    })
}

/// Counts the members of a group.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   how many there are; ERR_STALE (no such group).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_count(
    net: *mut sockeye_net,
    group: sockeye_group,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let stats = net.group_stats(net.token(group.id, Kind::Group)?)?;
        Ok(stats.members as sockeye_status)
    })
}

/// Sends one message to all members of a group but `except`. The call takes the same time however
/// many there are: the message is copied once, and the workers give it to the members of their
/// connections, framed once for each framing.
///
/// A member that has no room is skipped, without a WRITABLE; its endpoint's `overflow` decides, as
/// for a send of its own. What one thread sends to a group and to its members arrives at each in
/// the order of the calls; a member that is closed, removed or moved afterwards is given it before.
/// With FLUSH_MANUAL the message leaves at the next flush or poll of the member's queue.
///
/// Ownership: `message` and its parts are copied, except one part of 4 KiB or more in a buffer of
///            the library's, to which that takes a reference. `out_skipped` is the caller's.
/// NULL:      `out_skipped` may be NULL; else it is given the number of members that had no room
///            when they were last given a message, which are likely to be skipped again.
///            `sockeye_group_get_stats` counts all skips.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or no message); ERR_STALE (no such group; the message's buffer
///            was released); ERR_NO_MEMORY (`memory_max_bytes`, or 65,536 messages to groups are
///            still to be given to members: no member is given it); ERR_SHUTDOWN. `except` may be
///            `{0}`, or stale.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_group_send(
    net: *mut sockeye_net,
    group: sockeye_group,
    except: sockeye_conn,
    message: *const sockeye_message,
    out_skipped: *mut u32,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if message.is_null() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
        let message = unsafe { copy_sized(message, &sockeye_message::default()) };
        let Ok(message) = message else { return Err(Error::Invalid) };
        let group = net.token(group.id, Kind::Group)?;
        let except = net.token(except.id, Kind::Conn).ok();
        let send = |message: &Message<'_>| net.send_to_group(group, except, message);
        // SAFETY: the caller gives the parts.
        let skipped = unsafe { message.with(send) }?;
        if !out_skipped.is_null() {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_skipped.write(skipped) };
        }
        Ok(())
    })
}

/// Copies what a group has counted.
///
/// Ownership: `out_stats` is the caller's, written up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, a size that no release had); ERR_STALE (no such group).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_group_get_stats(
    net: *mut sockeye_net,
    group: sockeye_group,
    out_stats: *mut sockeye_group_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.group_stats(net.token(group.id, Kind::Group)?)?;
        let stats = same_fields!(facts => sockeye_group_stats {
            members,
            full,
            sends,
            delivered,
            skipped,
        } and {
            struct_size: size_of::<sockeye_group_stats>().min(size) as u32,
            reserved: 0,
        });
        // SAFETY: the caller gives NULL or `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}
