//! Entry points for fuzzing, and the rules of a call as an onlooker can check them.

mod audit;
mod play;

pub use audit::Audit;
pub use play::play;

use ringtrip_model::Destination;

use crate::route::parse_destination;

/// Reads `bytes` as what a party dialled: it must not panic, and what comes out must be clean enough
/// to look up and to log.
pub fn fuzz_destination(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let domains = [
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    match parse_destination(&text, &domains) {
        Destination::User(user) => {
            assert!(
                !user.is_empty() && user.len() <= 128,
                "user name of {} bytes",
                user.len()
            );
            assert!(
                user.bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'@' && b != b':'),
                "{user:?}"
            );
            assert!(
                user.bytes().any(|b| b.is_ascii_alphabetic()),
                "{user:?} is a number"
            );
        }
        Destination::Number(number) => {
            let digits = number.strip_prefix('+').expect("numbers begin with +");
            assert!(
                (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()),
                "{number:?}"
            );
            assert_eq!(
                parse_destination(&number, &domains),
                Destination::Number(number.clone())
            );
        }
        Destination::Foreign | Destination::Invalid => {}
    }
}

/// Plays `bytes` as a call's life, honest and hostile: it must keep every rule of [`Audit`] and end.
pub fn fuzz_call(bytes: &[u8]) {
    play(bytes);
}
