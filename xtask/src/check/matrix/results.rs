//! What a run of the tests gave, from nextest's report.

use super::Behaviour;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// What one test gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Passed,
    Failed,
    /// It said why it could not run here.
    Skipped,
}

/// A test by its name: `theme::model::drive::test` in `conformance`, any path in other programs.
struct Test {
    program: String,
    path: String,
    outcome: Outcome,
    /// Why it was skipped.
    reason: Option<String>,
}

/// How a behaviour does on a model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All of its tests passed, in every drive.
    Held,
    Failed,
    /// A test of it could not run here.
    Skipped,
    /// There is no test of it yet.
    Absent,
    /// All of its tests are of other systems.
    Elsewhere,
}

/// Tests that are not asked of a run, and why is written where they are listed.
#[derive(Default)]
pub struct Spared {
    /// Themes of other systems.
    pub elsewhere: BTreeSet<String>,
    /// Tests that cannot pass here, by `theme::test`, with their models; none are all models.
    pub left_out: Vec<(String, Vec<String>)>,
}

/// All of a run.
pub struct Results {
    tests: Vec<Test>,
    spared: Spared,
}

/// `lifecycle::epoll::host0::closed_once` by its parts.
fn parts(path: &str) -> Option<[&str; 4]> {
    let parts: Vec<&str> = path.split("::").collect();
    parts.try_into().ok()
}

impl Results {
    /// Reads nextest's JUnit report of all tests but some.
    pub fn read(text: &str, spared: Spared) -> Result<Results> {
        let document = roxmltree::Document::parse(text).context("no report of nextest's")?;
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        let tests = cases.map(|case| -> Result<Test> {
            let attribute = |name| case.attribute(name).context("a test without a name");
            let has = |name: &str| case.children().any(|child| child.has_tag_name(name));
            let output = case.children().find(|child| child.has_tag_name("system-out"));
            let output = output.and_then(|node| node.text()).unwrap_or_default();
            let reason = output.lines().find_map(|line| line.trim().strip_prefix("skipped: "));
            let outcome = match reason {
                _ if has("failure") || has("error") => Outcome::Failed,
                Some(_) => Outcome::Skipped,
                None if has("skipped") => Outcome::Skipped,
                None => Outcome::Passed,
            };
            let (program, path) = (attribute("classname")?, attribute("name")?.to_owned());
            let program = program.rsplit("::").next().unwrap_or(program).to_owned();
            Ok(Test { program, path, outcome, reason: reason.map(str::to_owned) })
        });
        Ok(Results { tests: tests.collect::<Result<_>>()?, spared })
    }

    /// The tests of the models, with their names' parts.
    fn of_models(&self) -> impl Iterator<Item = (&Test, [&str; 4])> {
        let ours = self.tests.iter().filter(|test| test.program == "conformance");
        ours.filter_map(|test| Some((test, parts(&test.path)?)))
    }

    /// The models that were built, as their modules are named.
    pub fn models(&self) -> Vec<&str> {
        let models: BTreeSet<&str> = self.of_models().map(|(_, parts)| parts[1]).collect();
        models.into_iter().collect()
    }

    /// Why a model cannot run here, if none of its tests did.
    pub fn refusal(&self, model: &str) -> Option<&str> {
        let mut all = self.of_models().filter(|(_, parts)| parts[1] == model).map(|(test, _)| test);
        let first = all.next()?.reason.as_deref()?;
        all.all(|test| test.outcome == Outcome::Skipped).then_some(first)
    }

    /// The driving modes that a model was tested in.
    pub fn drives(&self, model: &str) -> Vec<&str> {
        let ours = self.of_models().filter(|(_, parts)| parts[1] == model);
        ours.map(|(_, parts)| parts[2]).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn verdict(&self, behaviour: &Behaviour, model: &str) -> Verdict {
        let mut asked = behaviour.tests.iter().filter(|name| !self.is_elsewhere(name)).peekable();
        if asked.peek().is_none() {
            return Verdict::Elsewhere;
        }
        let mut verdict = Verdict::Held;
        for name in asked {
            let outcomes = self.outcomes(name, model);
            if outcomes.contains(&Outcome::Failed) {
                return Verdict::Failed;
            }
            if outcomes.is_empty() {
                verdict = Verdict::Absent;
            } else if outcomes.contains(&Outcome::Skipped) && verdict == Verdict::Held {
                verdict = Verdict::Skipped;
            }
        }
        verdict
    }

    /// What a test of the behaviours' gave on a model, in each drive.
    fn outcomes(&self, name: &str, model: &str) -> Vec<Outcome> {
        if let Some((program, path)) = name.split_once('/') {
            let theme = path.strip_suffix('*');
            let named = |test: &&Test| {
                let same = theme.map_or(test.path == path, |theme| test.path.starts_with(theme));
                test.program == program && same
            };
            return self.tests.iter().filter(named).map(|test| test.outcome).collect();
        }
        let Some((theme, wanted)) = name.split_once("::") else { return Vec::new() };
        let named = |parts: &[&str; 4]| {
            parts[0] == theme && parts[1] == model && (wanted == "*" || parts[3] == wanted)
        };
        let ours = self.of_models().filter(|(_, parts)| named(parts));
        let mut outcomes: Vec<Outcome> = ours.map(|(test, _)| test.outcome).collect();
        outcomes.extend(self.is_left_out(theme, wanted, model).then_some(Outcome::Skipped));
        outcomes
    }

    fn is_elsewhere(&self, name: &str) -> bool {
        name.split_once("::").is_some_and(|(theme, _)| self.spared.elsewhere.contains(theme))
    }

    /// Whether a test of a theme, or one of all (`*`), is left out on a model.
    fn is_left_out(&self, theme: &str, wanted: &str, model: &str) -> bool {
        self.spared.left_out.iter().any(|(test, models)| {
            let named = test.split_once("::");
            let same =
                named.is_some_and(|(its, name)| its == theme && (wanted == "*" || wanted == name));
            same && (models.is_empty() || models.iter().any(|other| other == model))
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="6" failures="1" errors="0">
  <testsuite name="sockeye::conformance" tests="5">
    <testcase name="send::epoll::pool::whole" classname="sockeye::conformance" time="0.1"/>
    <testcase name="send::epoll::host0::whole" classname="sockeye::conformance" time="0.1">
      <system-out>running 1 test</system-out>
    </testcase>
    <testcase name="send::poll::pool::whole" classname="sockeye::conformance" time="0.1">
      <failure type="test failure">no</failure><system-out>skipped: not this</system-out>
    </testcase>
    <testcase name="send::poll::host0::whole" classname="sockeye::conformance" time="0.1"/>
    <testcase name="send::ring::pool::whole" classname="sockeye::conformance" time="0.1">
      <system-out>
running 1 test
skipped: the system forbids it
</system-out>
    </testcase>
    <testcase name="no_model_at_all" classname="sockeye::conformance" time="0.1"/>
  </testsuite>
  <testsuite name="sockeye::bad_input" tests="1">
    <testcase name="urls::bad" classname="sockeye::bad_input" time="0.1"/>
  </testsuite>
</testsuites>"#;

    fn behaviour(tests: &[&str]) -> Behaviour {
        let tests = tests.iter().map(|test| (*test).to_owned()).collect();
        Behaviour { number: "1".into(), from: String::new(), words: String::new(), tests }
    }

    #[test]
    fn every_drive_counts() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        assert_eq!(results.models(), ["epoll", "poll", "ring"]);
        assert_eq!(results.drives("epoll"), ["host0", "pool"]);
        let whole = behaviour(&["send::whole"]);
        assert_eq!(results.verdict(&whole, "epoll"), Verdict::Held);
        assert_eq!(results.verdict(&whole, "poll"), Verdict::Failed);
        assert_eq!(results.verdict(&whole, "ring"), Verdict::Skipped);
        assert_eq!(results.verdict(&behaviour(&["send::*"]), "poll"), Verdict::Failed);
    }

    #[test]
    fn what_did_not_run_is_not_held() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        let verdict = |tests: &[&str]| results.verdict(&behaviour(tests), "epoll");
        assert_eq!(verdict(&["send::whole", "later::*"]), Verdict::Absent);
        assert_eq!(verdict(&["send::other"]), Verdict::Absent);
        assert_eq!(verdict(&["bad_input/urls::bad"]), Verdict::Held);
        assert_eq!(verdict(&["bad_input/urls::*"]), Verdict::Held);
        assert_eq!(verdict(&["bad_input/sizes::*"]), Verdict::Absent);
    }

    #[test]
    fn a_model_that_cannot_run_says_why() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        assert_eq!(results.refusal("ring"), Some("the system forbids it"));
        assert_eq!(results.refusal("epoll"), None);
        assert_eq!(results.refusal("poll"), None, "it ran, and failed");
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(Results::read("<testsuites>", Spared::default()).is_err());
    }

    #[test]
    fn what_is_spared_is_no_hole() {
        let elsewhere = BTreeSet::from(["later".to_owned()]);
        let left_out = vec![("send::other".to_owned(), vec!["epoll".to_owned()])];
        let results = Results::read(REPORT, Spared { elsewhere, left_out }).unwrap();
        let verdict = |tests: &[&str], model| results.verdict(&behaviour(tests), model);
        assert_eq!(verdict(&["send::whole", "later::*"], "epoll"), Verdict::Held);
        assert_eq!(verdict(&["later::some"], "epoll"), Verdict::Elsewhere);
        assert_eq!(verdict(&["send::other"], "epoll"), Verdict::Skipped);
        assert_eq!(verdict(&["send::*"], "epoll"), Verdict::Skipped, "not all of them ran");
        assert_eq!(verdict(&["send::other"], "poll"), Verdict::Absent, "left out elsewhere");
    }
}
