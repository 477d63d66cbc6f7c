//! Which sessions a user is logged in with, and whose call reports an id brings.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ringtrip_model::{AccountId, LegParty, SessionId};
use tokio::time::Instant;

/// How long after its session an id for call reports is still good.
const REPORT_GRACE: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Location {
    /// Folded user name → sessions in order of login.
    users: HashMap<String, Vec<SessionId>>,
    reports: HashMap<String, Report>,
    /// Ids whose session is gone, in order of their end.
    ending: VecDeque<(Instant, String)>,
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
    pub(crate) fn bind(&mut self, session: SessionId, party: &LegParty, call_report_id: &str) {
        let sessions = self.users.entry(fold(&party.user)).or_default();
        if !sessions.contains(&session) {
            sessions.push(session);
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
        now: Instant,
    ) {
        let user = fold(&party.user);
        if let Some(sessions) = self.users.get_mut(&user) {
            sessions.retain(|bound| *bound != session);
            if sessions.is_empty() {
                self.users.remove(&user);
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
        self.users.get(&fold(user)).cloned().unwrap_or_default()
    }

    pub(crate) fn report_owner(&mut self, call_report_id: &str, now: Instant) -> Option<AccountId> {
        self.sweep(now);
        self.reports
            .get(call_report_id)
            .map(|report| report.account)
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
