//! The machine and its programs in words, as the running system tells them. No names of hosts.

use std::fs;
use std::process::Command;

/// What a result has to say of where it comes from: what it is, and what was found.
pub fn facts() -> Vec<(&'static str, String)> {
    let cpuinfo = read("/proc/cpuinfo");
    let facts = [
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
        ("processor", cpu(&cpuinfo)),
        ("memory", memory(&read("/proc/meminfo"))),
        ("kernel", kernel(&read("/proc/sys/kernel/osrelease"))),
        ("congestion control", word(&read("/proc/sys/net/ipv4/tcp_congestion_control"))),
        (
            "C and C++ compiler",
            said("gcc", &["-dumpfullversion"]).map(|it| format!("gcc {it} -O2")),
        ),
        ("Rust compiler", said("rustc", &["--version"]).and_then(|line| rustc(&line))),
        ("C library", said("getconf", &["GNU_LIBC_VERSION"])),
        ("already running at the start", busy(&read("/proc/loadavg"))),
    ];
    let found = facts.into_iter();
    found.map(|(name, fact)| (name, fact.unwrap_or_else(|| "not found".into()))).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program prints.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    word(&String::from_utf8(output.stdout).ok()?)
}

fn word(text: &str) -> Option<String> {
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}

/// Model, cores, and whether it is all there is.
fn cpu(cpuinfo: &str) -> Option<String> {
    let of = |name: &'static str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.filter(move |(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    let model = of("model name").next()?;
    let number = of("model").next().unwrap_or("?");
    let family = of("cpu family").next().unwrap_or("?");
    let cores = of("processor").count();
    let virtual_one = of("flags").next()?.split(' ').any(|flag| flag == "hypervisor");
    let kind = if virtual_one { ", a virtual machine" } else { "" };
    Some(format!("{model} (family {family}, model {number}), {cores} cores{kind}"))
}

fn memory(meminfo: &str) -> Option<String> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(format!("{} GiB", (kib as f64 / 1_048_576.0).round()))
}

/// What else wanted the processors, by the average of the last minute.
fn busy(loadavg: &str) -> Option<String> {
    let average = loadavg.split(' ').next().filter(|text| !text.is_empty())?;
    Some(format!("{average} threads, on average over a minute"))
}

/// The number alone: what is behind it is a builder's own.
fn kernel(release: &str) -> Option<String> {
    let number = release.trim().split(['-', '+', '_']).next().filter(|text| !text.is_empty())?;
    Some(format!("Linux {number}"))
}

/// "rustc 1.95.0", without the commit.
fn rustc(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(' ').take(2).collect();
    Some(format!("{} release, fat LTO", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_in_words() {
        let one = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Xeon\n\
                   flags\t\t: fpu hypervisor lm\n\n";
        let text = one.repeat(2);
        let want = "Xeon (family 6, model 207), 2 cores, a virtual machine";
        assert_eq!(cpu(&text).as_deref(), Some(want));
        let bare = cpu(&text.replace("hypervisor ", "")).unwrap();
        assert!(bare.ends_with("2 cores"));
        assert_eq!(cpu(""), None);
    }

    #[test]
    fn numbers_without_names() {
        assert_eq!(kernel("6.18.44-fc-v657\n").as_deref(), Some("Linux 6.18.44"));
        assert_eq!(kernel(""), None);
        let line = "rustc 1.95.0 (abcdef 2026-04-14)";
        assert_eq!(rustc(line).as_deref(), Some("rustc 1.95.0 release, fat LTO"));
        let threads = "0.31 threads, on average over a minute";
        assert_eq!(busy("0.31 0.40 0.52 1/123 4567\n").as_deref(), Some(threads));
        assert_eq!(memory("MemTotal:       24684464 kB\n").as_deref(), Some("24 GiB"));
    }

    #[test]
    fn this_machine_has_a_date_and_a_kernel() {
        let facts = facts();
        let fact = |name| facts.iter().find(|(key, _)| *key == name).map(|(_, fact)| &**fact);
        assert_eq!(fact("date").unwrap().len(), 10);
        assert!(fact("kernel").unwrap().starts_with("Linux "));
    }
}
