//! Who is in which group, and the log.

use super::log::{Log, Sent};
use super::*;
use crate::buf::Slice;
use crate::session::Tag;

fn groups() -> Groups {
    Groups::new(3, 2, 1000, 2, 7)
}

/// The connections that a worker visits.
fn walked(groups: &Groups, group: Token, home: usize) -> Vec<u32> {
    let mut all = Vec::new();
    groups.walk(group.index() as u32, home);
    loop {
        let mut visits = [Visit::default(); 2];
        let count = groups.step(home, &mut visits);
        all.extend(visits[..count].iter().map(|visit| visit.conn));
        if count == 0 {
            return all;
        }
    }
}

#[test]
fn members_come_and_go() {
    let groups = groups();
    let (one, two) = (groups.insert().unwrap(), groups.insert().unwrap());
    for conn in 0..5 {
        assert_eq!(groups.add(one, conn, conn % 2), Ok(()));
        assert_eq!(groups.add(one, conn, conn % 2), Ok(()), "it is in it");
    }
    assert_eq!(groups.add(two, 999, 1), Ok(()));
    let group = groups.get(one).unwrap();
    assert_eq!((group.count(), group.homes()), (5, 3));
    assert_eq!((walked(&groups, one, 0), walked(&groups, one, 1)), (vec![4, 2, 0], vec![3, 1]));
    assert_eq!(groups.remove(one.index() as u32, 2), Ok(()));
    assert_eq!(groups.remove(one.index() as u32, 2), Err(Error::Stale));
    assert_eq!(groups.remove(one.index() as u32, 700), Err(Error::Stale));
    groups.leave(4);
    groups.leave(4);
    assert_eq!(walked(&groups, one, 0), [0]);
    groups.relist(1, 0);
    assert_eq!((walked(&groups, one, 0), walked(&groups, one, 1)), (vec![1, 0], vec![3]));
    assert_eq!(groups.get(two).unwrap().homes(), 2);
    assert!(groups.has(0) && !groups.has(4) && groups.is_in(one.index() as u32, 1));
}

#[test]
fn bounds_and_generations() {
    let groups = groups();
    let all: Vec<Token> = (0..3).map(|_| groups.insert().unwrap()).collect();
    assert_eq!(groups.insert(), None, "groups_max");
    assert!(all[..2].iter().all(|group| groups.add(*group, 5, 0).is_ok()));
    assert_eq!(groups.add(all[2], 5, 0), Err(Error::Limit), "conn_groups_max");
    assert_eq!(groups.end(all[0]), Ok(()));
    assert_eq!(groups.end(all[0]), Err(Error::Stale));
    assert_eq!(groups.add(all[0], 6, 0), Err(Error::Stale));
    assert_eq!(groups.any_of(all[0]), Some(5));
    assert_eq!(groups.remove(all[0].index() as u32, 5), Ok(()));
    assert_eq!(groups.any_of(all[0]), None);
    let next = groups.insert().unwrap();
    assert_eq!((next.index(), next.generation()), (all[0].index(), 8));
    assert_eq!((groups.highest(), groups.get(all[0]).err()), (8, Some(Error::Stale)));
}

#[test]
fn a_walk_goes_on_when_its_next_member_leaves() {
    let groups = groups();
    let group = groups.insert().unwrap();
    (0..4).for_each(|conn| groups.add(group, conn, 0).unwrap());
    groups.walk(group.index() as u32, 0);
    let mut visits = [Visit::default(); 2];
    assert_eq!(groups.step(0, &mut visits), 2);
    assert_eq!([visits[0].conn, visits[1].conn], [3, 2]);
    groups.leave(1);
    groups.add(group, 9, 0).unwrap();
    assert_eq!((groups.step(0, &mut visits), visits[0].conn), (1, 0), "not the new one");
    groups.note_full(group.index() as u32, 0, true);
    assert_eq!(groups.get(group).unwrap().full.load(Relaxed), 1);
    groups.relist(0, 1);
    assert_eq!(groups.get(group).unwrap().full.load(Relaxed), 1);
    groups.leave(0);
    assert_eq!(groups.get(group).unwrap().full.load(Relaxed), 0);
}

fn sent(group: u32) -> Sent {
    Sent {
        number: 0,
        group,
        except: None,
        tag: Tag::default(),
        text: false,
        payload: Slice::default(),
        at: None,
    }
}

#[test]
fn an_entry_goes_when_all_its_workers_are_done() {
    let log = Log::new(2);
    let appended =
        [(1, 0b11), (2, 0b10), (3, 0b01)].map(|(group, homes)| log.append(sent(group), homes));
    assert_eq!(appended, [true; 3]);
    let next = |home, after| log.next(home, after, u64::MAX).map(|sent| sent.group);
    assert_eq!((next(0, 0), next(0, 1), next(1, 1), next(1, 2)), (Some(1), Some(3), Some(2), None));
    assert_eq!(log.next(0, 1, 2).map(|sent| sent.group), None, "not flushed");
    log.done(1, 1);
    log.done(1, 2);
    assert_eq!(log.count(), 3);
    log.done(0, 1);
    assert_eq!((log.count(), log.head()), (1, 3));
    let since = |after| log.since(after).0.iter().map(|sent| sent.group).collect::<Vec<_>>();
    assert_eq!((since(0), since(2), since(3)), (vec![3], vec![3], vec![]));
    assert!(log.flush(0) && !log.flush(1));
    assert_eq!((log.flushed(0), log.flushed(1)), (3, 3));
    log.done(0, 3);
    assert_eq!((log.count(), next(0, 3)), (0, None));
    assert!(log.call(0) && !log.call(0));
    log.answer(0);
    assert!(log.call(0));
}

/// Messages without bytes take no memory of the pool, and are bounded all the same.
#[test]
fn a_log_has_an_end() {
    let log = Log::new(1);
    assert!((0..log::BACKLOG_MAX).all(|_| log.append(sent(1), 1)));
    assert!(!log.append(sent(1), 1), "it is full");
    assert!(log.append(sent(1), 0), "nobody is to be given this one");
    assert_eq!((log.count(), log.head()), (log::BACKLOG_MAX, log::BACKLOG_MAX as u64));
    log.done(0, 1);
    assert!(log.append(sent(1), 1) && !log.append(sent(1), 1));
}
