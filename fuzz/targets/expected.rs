//! Any text is an expected.json or none, and what is one is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migration::Expected;

fuzz_target!(|text: &str| {
    let Ok(expected) = Expected::parse(text) else { return };
    let written = expected.text().expect("it was read");
    let again = Expected::parse(&written).expect("what was written is read");
    assert_eq!(again.text().expect("it was read"), written);
});
