//! Any text is cut into statements, or refused with a place: the pieces lie in it, in order, and each is one statement.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migration::source::split::split;

fuzz_target!(|text: &str| match split(text) {
    Ok(pieces) => {
        let mut end = 0;
        for piece in pieces {
            assert!(piece.range.start >= end && piece.range.end <= text.len());
            assert_eq!(&text[piece.range.clone()], piece.sql.as_str());
            for comment in &piece.comments {
                assert!(text[comment.clone()].starts_with("--"));
            }
            end = piece.copy_data.map_or(piece.range.end, |data| data.end);
            let again = split(&piece.sql);
            // Alone the rows of COPY are missing.
            assert!(again.is_err() || again.is_ok_and(|again| again.len() == 1));
        }
    }
    Err(error) => assert!(text.is_char_boundary(error.offset)),
});
