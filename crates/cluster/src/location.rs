//! Which sessions a user is logged in with and from where, and whose call reports an id brings.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ringtrip_model::{AccountId, Contact, LegParty, SessionId, Timestamp};
use tokio::time::Instant;

/// How long after its session an id for call reports is still good.
const REPORT_GRACE: Duration = Duration::from_secs(600);
/// Users without a session whose last login is remembered.
const REMEMBERED: usize = 10_000;

/// What is known of a user's logins. It begins with the node: what was before is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registration {
    /// The latest of the logins that stand.
    pub contact: Option<Contact>,
    /// When the user last logged in.
    pub last_login: Option<Timestamp>,
    /// When the first of the user's devices came, or the last one went.
    pub changed_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Location {
    /// By folded user name.
    users: HashMap<String, User>,
    /// Users who have logged out, by folded user name.
    gone: HashMap<String, Gone>,
    /// The same, the longest gone first; entries of users who came back are passed over.
    gone_order: VecDeque<(Timestamp, String)>,
    reports: HashMap<String, Report>,
    /// Ids whose session is gone, in order of their end.
    ending: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct User {
    /// In order of login.
    sessions: Vec<(SessionId, Contact)>,
    /// When the first of them came.
    since: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Gone {
    last_login: Timestamp,
    at: Timestamp,
}

#[derive(Debug)]
struct Report {
    account: AccountId,
    until: Option<Instant>,
}

fn fold(user: &str) -> String {
    user.to_ascii_lowercase()
}

impl Location {
    pub(crate) fn bind(
        &mut self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        contact: Contact,
    ) {
        let name = fold(&party.user);
        self.gone.remove(&name);
        let user = self.users.entry(name).or_insert_with(|| User {
            sessions: Vec::new(),
            since: contact.since,
        });
        match user
            .sessions
            .iter_mut()
            .find(|(bound, _)| *bound == session)
        {
            Some((_, known)) => *known = contact,
            None => user.sessions.push((session, contact)),
        }
        let report = Report {
            account: party.account,
            until: None,
        };
        self.reports.insert(call_report_id.to_owned(), report);
    }

    pub(crate) fn unbind(
        &mut self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        at: Timestamp,
        now: Instant,
    ) {
        let name = fold(&party.user);
        if let Some(user) = self.users.get_mut(&name) {
            let last_login = user.sessions.iter().map(|(_, contact)| contact.since).max();
            user.sessions.retain(|(bound, _)| *bound != session);
            if user.sessions.is_empty() {
                self.users.remove(&name);
                if let Some(last_login) = last_login {
                    self.remember(name, Gone { last_login, at });
                }
            }
        }
        if let Some(report) = self.reports.get_mut(call_report_id) {
            let until = now + REPORT_GRACE;
            report.until = Some(until);
            self.ending.push_back((until, call_report_id.to_owned()));
        }
        self.sweep(now);
    }

    pub(crate) fn devices(&self, user: &str) -> Vec<SessionId> {
        let user = self.users.get(&fold(user));
        user.map_or_else(Vec::new, |user| {
            user.sessions.iter().map(|(session, _)| *session).collect()
        })
    }

    pub(crate) fn registration(&self, user: &str) -> Registration {
        let name = fold(user);
        if let Some(user) = self.users.get(&name) {
            let contacts = user.sessions.iter().map(|(_, contact)| contact);
            let contact = contacts.max_by_key(|contact| contact.since).cloned();
            return Registration {
                last_login: contact.as_ref().map(|contact| contact.since),
                changed_at: Some(user.since),
                contact,
            };
        }
        self.gone
            .get(&name)
            .map_or_else(Registration::default, |gone| Registration {
                contact: None,
                last_login: Some(gone.last_login),
                changed_at: Some(gone.at),
            })
    }

    pub(crate) fn report_owner(&mut self, call_report_id: &str, now: Instant) -> Option<AccountId> {
        self.sweep(now);
        self.reports
            .get(call_report_id)
            .map(|report| report.account)
    }

    fn remember(&mut self, name: String, gone: Gone) {
        self.gone_order.push_back((gone.at, name.clone()));
        self.gone.insert(name, gone);
        while self.gone_order.len() > REMEMBERED {
            let Some((at, name)) = self.gone_order.pop_front() else {
                return;
            };
            if self.gone.get(&name).is_some_and(|gone| gone.at == at) {
                self.gone.remove(&name);
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        while self.ending.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, id)) = self.ending.pop_front() else {
                return;
            };
            // A session that came back under the same id has no end set, or a later one.
            let over = self
                .reports
                .get(&id)
                .is_some_and(|r| r.until.is_some_and(|until| until <= now));
            if over {
                self.reports.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_model::{ContactTransport, CredentialConnectionId, Generator, MediaPolicy};

    use super::*;

    #[tokio::test]
    async fn the_memory_of_those_who_left_is_bounded() {
        let mut location = Location::default();
        let mut rng = Generator::from_seed([1; 32]);
        let account = AccountId::generate(&mut rng);
        for n in 0..=REMEMBERED {
            let at = Timestamp::from_secs(i64::try_from(n).unwrap());
            let party = LegParty {
                account,
                connection: CredentialConnectionId::from_i64(1),
                credential: None,
                user: format!("user{n}"),
                policy: MediaPolicy::default(),
                ring_timeout_secs: 90,
            };
            let contact = Contact {
                address: [127, 0, 0, 1].into(),
                port: None,
                transport: ContactTransport::Ws,
                user_agent: None,
                since: at,
            };
            let session = SessionId::generate(&mut rng);
            location.bind(session, &party, "r", contact);
            location.unbind(session, &party, "r", at, Instant::now());
        }
        assert_eq!(location.gone.len(), REMEMBERED);
        assert_eq!(location.registration("user0"), Registration::default());
        assert!(location.registration("user1").last_login.is_some());
    }
}
