//! A short run of the fuzzer. There is one test, because memory is measured for the whole process.

use coheld_fuzz::{Limit, Target, run};

#[test]
fn no_message_does_harm() {
    for target in Target::ALL {
        for message in target.corpus() {
            let text = message.escape_ascii();
            assert!(
                target.look(&message),
                "{target:?}: b\"{text}\" is not a good message"
            );
        }
        let report =
            run(target, 7, Limit::Rounds(20_000)).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(report.rounds, 20_000);
        // Otherwise nothing but the first step of reading has been tried.
        assert!(report.good > 500, "{target:?}: {report:?}");
        assert!(report.good < 20_000, "{target:?}: {report:?}");
        let again = run(target, 7, Limit::Rounds(300)).unwrap();
        assert_eq!(run(target, 7, Limit::Rounds(300)).unwrap().good, again.good);
    }
}
