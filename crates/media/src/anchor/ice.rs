//! The ICE-lite half of an anchor (RFC 8445 §2.5): it answers checks, learns addresses from those that
//! verify, and sends where the party nominates. It never sends a check and gathers nothing.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use ringtrip_model::Time;

use crate::plan::IceCredentials;
use crate::stun::{self, BindingRequest, MAX_RESPONSE_LEN};

/// Addresses kept per anchor; the one that was quiet longest makes room.
const MAX_PATHS: usize = 8;
/// Generations of credentials that may be valid at once.
const MAX_CREDENTIALS: usize = 3;
/// Transactions remembered, so that a captured check moves no path.
const MAX_TRANSACTIONS: usize = 16;
/// How long older credentials stay valid once newer ones have been used.
const OVERLAP: Duration = Duration::from_secs(30);
/// How long a verified check counts as consent to receive (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);

/// One way to a party: a socket of ours and an address of its.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) socket: usize,
    pub(crate) remote: SocketAddr,
}

struct Credentials {
    ufrag: String,
    key: hmac::Key,
    /// Counts restarts.
    generation: u32,
    /// When they cease to be valid.
    retires_at: Option<Time>,
}

impl Credentials {
    fn new(ice: IceCredentials, generation: u32) -> Self {
        let key = stun::integrity_key(&ice.pwd);
        Self {
            ufrag: ice.ufrag,
            key,
            generation,
            retires_at: None,
        }
    }
}

#[derive(Debug)]
struct Validated {
    path: Path,
    checked_at: Time,
}

/// What a verified check leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Length of the answer that was written.
    pub(crate) response_len: usize,
    /// Whether the check makes its sender's address the party's. One with the wrong role does not.
    pub(crate) valid: bool,
    /// An address that had to make room.
    pub(crate) evicted: Option<Path>,
}

/// Credentials, addresses and consent of one anchor.
pub(crate) struct IceLite {
    /// Newest first, never empty.
    credentials: Vec<Credentials>,
    /// Never longer than [`MAX_PATHS`].
    paths: Vec<Validated>,
    selected: Option<Path>,
    /// Generation of the credentials that nominated.
    nominated: Option<u32>,
    transactions: [Option<([u8; 12], Path)>; MAX_TRANSACTIONS],
    next_transaction: usize,
}

impl IceLite {
    pub(crate) fn new(ice: IceCredentials) -> Self {
        Self {
            credentials: vec![Credentials::new(ice, 0)],
            paths: Vec::new(),
            selected: None,
            nominated: None,
            transactions: [None; MAX_TRANSACTIONS],
            next_transaction: 0,
        }
    }

    /// Accepts new credentials beside the ones in use (RFC 8445 §9).
    pub(crate) fn restart(&mut self, ice: IceCredentials) {
        let generation = self.credentials[0].generation.wrapping_add(1);
        self.credentials
            .insert(0, Credentials::new(ice, generation));
        self.credentials.truncate(MAX_CREDENTIALS);
    }

    /// Verifies a check and writes its answer. [`None`]: it is not for us or not authentic; nothing
    /// is remembered and nothing must be sent.
    ///
    /// The right half of USERNAME is not compared: the checks must be answered before the party's
    /// description is here, and the integrity already shows that the sender was given ours.
    pub(crate) fn handle_check(
        &mut self,
        request: &BindingRequest<'_>,
        path: Path,
        now: Time,
        out: &mut [u8; MAX_RESPONSE_LEN],
    ) -> Option<Checked> {
        self.credentials
            .retain(|c| c.retires_at.is_none_or(|at| at > now));
        let used = self.credentials.iter().position(|credentials| {
            credentials.ufrag.as_bytes() == request.local_ufrag()
                && request.verify(&credentials.key)
        })?;
        let transaction = request.transaction();
        let seen = self
            .transactions
            .iter()
            .flatten()
            .find(|(id, _)| *id == transaction);
        match seen {
            Some((_, from)) if *from != path => return None,
            Some(_) => {}
            None => {
                self.transactions[self.next_transaction] = Some((transaction, path));
                self.next_transaction = (self.next_transaction + 1) % MAX_TRANSACTIONS;
            }
        }
        if used == 0 {
            for older in &mut self.credentials[1..] {
                older.retires_at.get_or_insert(now + OVERLAP);
            }
        }
        let (key, generation) = (
            &self.credentials[used].key,
            self.credentials[used].generation,
        );
        if request.controlled() {
            let response_len = stun::write_role_conflict(transaction, key, out);
            return Some(Checked {
                response_len,
                valid: false,
                evicted: None,
            });
        }
        let response_len = stun::write_success(transaction, path.remote, key, out);
        let evicted = self.validate(path, now);
        if request.use_candidate() {
            if self.nominated.is_none_or(|by| generation >= by) {
                self.selected = Some(path);
                self.nominated = Some(generation);
            }
        } else if !self.has_consent(now) {
            // Before a nomination, the first path; later, whichever still lives.
            self.selected = Some(path);
        }
        Some(Checked {
            response_len,
            valid: true,
            evicted,
        })
    }

    /// Returns the path to send on, as long as the party consents to receive there.
    pub(crate) fn path(&self, now: Time) -> Option<Path> {
        self.selected.filter(|_| self.has_consent(now))
    }

    /// Returns every address that is the party's.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().map(|validated| validated.path)
    }

    fn has_consent(&self, now: Time) -> bool {
        self.selected.is_some_and(|selected| {
            self.paths
                .iter()
                .any(|v| v.path == selected && now.since(v.checked_at) < CONSENT)
        })
    }

    fn validate(&mut self, path: Path, now: Time) -> Option<Path> {
        if let Some(known) = self.paths.iter_mut().find(|v| v.path == path) {
            known.checked_at = now;
            return None;
        }
        let mut evicted = None;
        if self.paths.len() == MAX_PATHS {
            let oldest = (0..self.paths.len())
                .filter(|at| Some(self.paths[*at].path) != self.selected)
                .min_by_key(|at| self.paths[*at].checked_at)?;
            evicted = Some(self.paths.swap_remove(oldest).path);
        }
        self.paths.push(Validated {
            path,
            checked_at: now,
        });
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Party {
        ice: IceLite,
        transaction: u32,
    }

    fn credentials(tag: &str) -> IceCredentials {
        IceCredentials {
            ufrag: format!("0000{tag}"),
            pwd: format!("password-of-{tag}-twenty-four"),
        }
    }

    fn path(port: u16) -> Path {
        Path {
            socket: 0,
            remote: SocketAddr::from(([192, 0, 2, 1], port)),
        }
    }

    /// Builds a check as a full agent would.
    fn request(ice: &IceCredentials, transaction: u32, nominate: bool) -> Vec<u8> {
        let mut id = [0; 12];
        id[8..].copy_from_slice(&transaction.to_be_bytes());
        crate::testing::binding_request(ice, id, nominate)
    }

    impl Party {
        fn new() -> Self {
            Self {
                ice: IceLite::new(credentials("a")),
                transaction: 0,
            }
        }

        fn check(&mut self, tag: &str, port: u16, nominate: bool, now: u64) -> bool {
            self.transaction += 1;
            let bytes = request(&credentials(tag), self.transaction, nominate);
            self.replay(&bytes, port, now)
        }

        fn replay(&mut self, bytes: &[u8], port: u16, now: u64) -> bool {
            let request = BindingRequest::parse(bytes).unwrap();
            let mut out = [0; MAX_RESPONSE_LEN];
            let now = Time::from_secs(now);
            self.ice
                .handle_check(&request, path(port), now, &mut out)
                .is_some_and(|c| c.valid)
        }

        fn port(&self, now: u64) -> Option<u16> {
            self.ice
                .path(Time::from_secs(now))
                .map(|path| path.remote.port())
        }
    }

    #[test]
    fn the_first_check_selects_until_a_nomination_comes() {
        let mut party = Party::new();
        assert_eq!(party.port(0), None);
        assert!(party.check("a", 1, false, 0) && party.check("a", 2, false, 0));
        assert_eq!(party.port(0), Some(1));
        party.check("a", 2, true, 1);
        assert_eq!(party.port(1), Some(2));
        party.check("a", 1, false, 2);
        assert_eq!(party.port(2), Some(2));
        party.check("a", 3, true, 3);
        assert_eq!(party.port(3), Some(3), "a rebinding moves at once");
    }

    #[test]
    fn wrong_passwords_and_names_change_nothing() {
        let mut party = Party::new();
        assert!(!party.check("b", 1, true, 0));
        let mut foreign = credentials("a");
        foreign.pwd.push('x');
        assert!(!party.replay(&request(&foreign, 9, true), 1, 0));
        assert_eq!((party.port(0), party.ice.paths().count()), (None, 0));
    }

    #[test]
    fn a_captured_check_moves_no_path() {
        let mut party = Party::new();
        let captured = request(&credentials("a"), 77, true);
        assert!(
            party.replay(&captured, 1, 0) && party.replay(&captured, 1, 0),
            "a repeat is answered"
        );
        assert!(!party.replay(&captured, 666, 1));
        assert_eq!(party.port(1), Some(1));
    }

    #[test]
    fn both_credentials_are_valid_during_a_restart() {
        let mut party = Party::new();
        party.check("a", 1, true, 0);
        party.ice.restart(credentials("b"));
        assert!(
            party.check("a", 1, true, 100),
            "the old ones stay until the new ones are used"
        );
        assert!(party.check("b", 2, true, 101));
        assert_eq!(party.port(101), Some(2));
        assert!(party.check("a", 1, true, 130));
        assert_eq!(
            party.port(130),
            Some(2),
            "an old nomination does not undo a new one"
        );
        assert!(!party.check("a", 1, true, 132));
        assert!(party.check("b", 2, true, 132));
    }

    #[test]
    fn consent_ends_after_thirty_seconds_and_returns() {
        let mut party = Party::new();
        party.check("a", 1, true, 0);
        assert_eq!((party.port(29), party.port(30)), (Some(1), None));
        party.check("a", 2, false, 40);
        assert_eq!(
            party.port(40),
            Some(2),
            "a path that lives is better than one that does not"
        );
    }

    #[test]
    fn addresses_are_bounded_and_the_selected_one_stays() {
        let mut party = Party::new();
        party.check("a", 1, true, 0);
        for port in 2..200 {
            party.check("a", port, false, u64::from(port) / 10);
        }
        assert_eq!(party.ice.paths().count(), MAX_PATHS);
        assert_eq!(party.port(20), Some(1));
    }

    #[test]
    fn a_peer_that_thinks_itself_controlled_is_told_to_switch() {
        let mut party = Party::new();
        let ice = credentials("a");
        let bytes = crate::testing::controlled_request(&ice, [1; 12]);
        let request = BindingRequest::parse(&bytes).unwrap();
        let mut out = [0; MAX_RESPONSE_LEN];
        let checked = party
            .ice
            .handle_check(&request, path(1), Time::ZERO, &mut out)
            .unwrap();
        assert!(!checked.valid);
        assert_eq!(out[..2], [1, 0x11]);
        assert_eq!(party.ice.paths().count(), 0);
    }
}
