//! C and C++, of which the rules see the code without comments and strings.

use super::words::{SLEEPS, paused, told_of_sleep};
use crate::check::c_text::{code, words};

pub fn check(path: &str, text: &str, tell: &mut impl FnMut(usize, String)) {
    if !path.starts_with("tests/") {
        return;
    }
    let written: Vec<&str> = text.lines().collect();
    for (n, line) in code(text).lines().enumerate() {
        let lines = [written[n.saturating_sub(1)], written[n]];
        for word in words(line).filter(|word| SLEEPS.contains(word) && !paused(lines)) {
            tell(n + 1, told_of_sleep(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        found(path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn tests_do_not_sleep() {
        assert_eq!(lines("tests/c/a.c", "int main(void)\n{\n    usleep(10);\n}\n"), [3]);
        let cpp = "void f() { std::this_thread::sleep_for(x); }\n";
        assert_eq!(lines("tests/cpp/a.cpp", cpp), [1]);
        assert_eq!(lines("tests/c/a.c", "void f(void) { (void)sleep (1); }\n"), [1]);
        let breath = "    nanosleep(&a, 0); /* tidy: pause, between two looks */\n";
        assert!(lines("tests/c/a.c", breath).is_empty());
        assert!(lines("bench/peers/a.c", "void f(void) { usleep(10); }\n").is_empty());
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let text = "/* sleep(1)\n sleep(2) */ // sleep(3)\nputs(\"sleep(4) \\\" sleep(5)\");\n";
        assert!(lines("tests/c/a.c", text).is_empty());
        assert!(lines("tests/c/a.c", "int asleep(void);\n").is_empty());
        assert_eq!(lines("tests/c/a.c", "char c = '\"'; int d = 1'000; sleep(1);\n"), [1]);
    }
}
