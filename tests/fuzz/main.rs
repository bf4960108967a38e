//! The fuzz targets without a fuzzer: each input of the corpora, and what becomes of them at
//! random. `SOCKEYE_FUZZ_RUNS=N` makes N runs of each target, `SOCKEYE_FUZZ_SEED=K` begins
//! elsewhere. `fuzz/README.md` says how to run them with one.

#[path = "../common/random.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod random;
mod targets;

use random::Random;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::{env, fs};

/// Runs of each target: a few seconds.
const RUNS: u64 = 5000;
/// Bytes of an input, at most.
const INPUT_MAX: usize = 400;
/// Numbers at which something changes: lengths, kinds of records, signs.
const TURNING: [u8; 12] = [0, 1, 2, 3, 20, 21, 22, 23, 24, 0x7f, 0x80, 0xff];

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it is readable")).collect()
}

/// Some change of an input.
fn change(input: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let to = at + random.below(input.len() - at + 1);
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next() as u8,
        2 if at < input.len() => input[at] = TURNING[random.below(TURNING.len())],
        3 => input.insert(at, random.next() as u8),
        4 => drop(input.drain(at..to)),
        5 => {
            let again = input[at..to].to_vec();
            input.splice(to..to, again);
        }
        6 => {
            let other = &others[random.below(others.len())];
            let from = random.below(other.len() + 1);
            input.splice(at..to, other[from..].iter().copied());
        }
        _ => {
            let len = random.below(8);
            input.splice(at..at, random.bytes(len));
        }
    }
    input.truncate(INPUT_MAX);
}

/// Runs a target; what goes wrong is reported with the input, to be put into the corpus.
fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|fault| {
        let hex = input.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        });
        eprintln!("{name}: printf {hex} | xxd -r -p > fuzz/corpus/{name}/fault");
        resume_unwind(fault);
    });
}

fn play(name: &str) {
    let (_, target) = targets::TARGETS.into_iter().find(|(it, _)| *it == name).expect("a target");
    let inputs = corpus(name);
    assert!(!inputs.is_empty(), "a corpus");
    inputs.iter().for_each(|input| run(name, target, input));
    let mut random = Random::new(number("SOCKEYE_FUZZ_SEED").unwrap_or(1));
    for _ in 0..number("SOCKEYE_FUZZ_RUNS").unwrap_or(RUNS) {
        let mut input = inputs[random.below(inputs.len())].clone();
        (0..1 + random.below(6)).for_each(|_| change(&mut input, &inputs, &mut random));
        run(name, target, &input);
    }
}

#[test]
fn tls_server() {
    play("tls_server");
}

#[test]
fn tls_client() {
    play("tls_client");
}

#[test]
fn web_server() {
    play("web_server");
}

#[test]
fn web_client() {
    play("web_client");
}

#[test]
fn any() {
    play("any");
}

#[test]
fn envelope() {
    play("envelope");
}

#[test]
fn lanes() {
    play("lanes");
}
