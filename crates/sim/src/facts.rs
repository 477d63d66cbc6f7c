//! What the store and the bus know: users, connections, limits, who is logged in, what is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringtrip_model::{
    AccountId, CallId, CallingPreference, CredentialConnectionId, Generator, Identity, LegParty,
    LoginRefusal, LoginRequest, MediaPolicy, PermitRefusal, PermitRequest, RevokeScope, Route,
    SessionId, TelephonyCredentialId, Time, Timestamp,
};

/// The calendar time of [`Time::ZERO`].
pub const STARTED_AT: Timestamp = Timestamp::from_secs(1_790_000_000);

/// A credential connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name.
    pub id: CredentialConnectionId,
    /// Whose it is.
    pub account: AccountId,
    /// What it allows.
    pub policy: MediaPolicy,
    /// Whom it lets through.
    pub preference: CallingPreference,
    /// How long its users' devices ring.
    pub ring_timeout_secs: u32,
    /// `outbound.channel_limit`.
    pub outbound_limit: Option<u32>,
    /// `inbound.channel_limit`.
    pub inbound_limit: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// A telephony credential, or a connection's own user.
#[derive(Debug, Clone)]
pub struct User {
    /// SIP user name.
    pub name: String,
    /// SIP password.
    pub password: String,
    /// Which of the connections it belongs to.
    pub connection: usize,
    /// None for the connection's own user name.
    pub credential: Option<TelephonyCredentialId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it is gone.
    pub deleted: bool,
}

impl User {
    /// Returns the token that an application got for it.
    pub fn token(&self) -> String {
        format!("token-of-{}", self.name)
    }
}

/// The facts of one run.
#[derive(Debug)]
pub struct Facts {
    /// All connections.
    pub connections: Vec<Connection>,
    /// All users.
    pub users: Vec<User>,
    /// Calls that the node takes at once.
    pub max_calls: usize,
    bound: BTreeMap<SessionId, LegParty>,
    devices: BTreeMap<String, Vec<SessionId>>,
    permits: BTreeMap<CallId, PermitRequest>,
    snapshots: BTreeSet<CallId>,
}

fn calendar(now: Time) -> Timestamp {
    STARTED_AT + now.since(Time::ZERO)
}

impl Facts {
    /// Starts with nobody logged in.
    pub fn new(connections: Vec<Connection>, users: Vec<User>) -> Self {
        Self {
            connections,
            users,
            max_calls: 1_000,
            bound: BTreeMap::new(),
            devices: BTreeMap::new(),
            permits: BTreeMap::new(),
            snapshots: BTreeSet::new(),
        }
    }

    /// Makes one account with one connection and so many users, all of whom may call each other.
    pub fn neighbours(count: usize, codecs: &[&str], rng: &mut Generator) -> Self {
        let connection = Connection {
            id: CredentialConnectionId::generate(STARTED_AT, rng),
            account: AccountId::generate(rng),
            policy: MediaPolicy::from_codec_names(codecs.iter().copied()),
            preference: CallingPreference::Disabled,
            ring_timeout_secs: 30,
            outbound_limit: None,
            inbound_limit: None,
            enabled: true,
        };
        let users = (0..count).map(|_| Self::user(0, rng)).collect();
        Self::new(vec![connection], users)
    }

    /// Makes a credential under a connection.
    pub fn user(connection: usize, rng: &mut Generator) -> User {
        User {
            name: format!("gencred{}", rng.alphanumeric(16)),
            password: rng.alphanumeric(24),
            connection,
            credential: Some(TelephonyCredentialId::generate(rng)),
            expires_at: None,
            deleted: false,
        }
    }

    fn party(&self, user: &User) -> LegParty {
        let connection = &self.connections[user.connection];
        LegParty {
            account: connection.account,
            connection: connection.id,
            credential: user.credential,
            user: user.name.clone(),
            policy: connection.policy.clone(),
            ring_timeout_secs: connection.ring_timeout_secs,
        }
    }

    fn usable(&self, user: &User, now: Time) -> bool {
        let ended = user.expires_at.is_some_and(|end| end <= calendar(now));
        !user.deleted && !ended && self.connections[user.connection].enabled
    }

    /// Checks a login.
    ///
    /// # Errors
    /// As the product would refuse it.
    pub fn authenticate(&self, login: &LoginRequest, now: Time) -> Result<Identity, LoginRefusal> {
        let of_name = |name: &str| {
            self.users
                .iter()
                .find(|user| user.name == name && !user.deleted)
        };
        let user = match login {
            LoginRequest::Token(token) => {
                let name = token
                    .expose()
                    .strip_prefix("token-of-")
                    .ok_or(LoginRefusal::BadToken)?;
                of_name(name).ok_or(LoginRefusal::UnknownUser)?
            }
            LoginRequest::Password { user, password } => {
                let found = of_name(user).ok_or(LoginRefusal::UnknownUser)?;
                if found.password != *password.expose() {
                    return Err(LoginRefusal::WrongPassword);
                }
                found
            }
        };
        if user.expires_at.is_some_and(|end| end <= calendar(now)) {
            return Err(LoginRefusal::Expired);
        }
        if !self.usable(user, now) {
            return Err(LoginRefusal::Inactive);
        }
        Ok(Identity {
            party: self.party(user),
            expires_at: user.expires_at,
        })
    }

    /// Tells who stands behind a user name, and on which devices.
    pub fn route(&self, name: &str, now: Time) -> Route {
        let same = |user: &&User| user.name.eq_ignore_ascii_case(name) && !user.deleted;
        let Some(user) = self.users.iter().find(same) else {
            return Route::Unknown;
        };
        Route::User {
            party: self.party(user),
            enabled: self.usable(user, now),
            preference: self.connections[user.connection].preference,
            devices: self.devices.get(&user.name).cloned().unwrap_or_default(),
        }
    }

    /// Ends a user after a time from now. Returns nothing; who is logged in already notices only what
    /// its login said.
    pub fn expire(&mut self, user: usize, now: Time, after: Duration) {
        self.users[user].expires_at = Some(calendar(now) + after);
    }

    /// Deletes a credential. Returns what to revoke.
    pub fn delete(&mut self, user: usize) -> RevokeScope {
        let user = &mut self.users[user];
        user.deleted = true;
        match user.credential {
            Some(credential) => RevokeScope::Credential(credential),
            None => RevokeScope::ConnectionUser(self.connections[user.connection].id),
        }
    }

    /// Switches a connection off. Returns what to revoke.
    pub fn switch_off(&mut self, connection: usize) -> RevokeScope {
        self.connections[connection].enabled = false;
        RevokeScope::Connection(self.connections[connection].id)
    }

    /// Returns the sessions of whoever falls under a scope.
    pub fn bound_under(&self, scope: &RevokeScope) -> usize {
        self.bound
            .values()
            .filter(|party| scope.covers(party))
            .count()
    }

    /// Tells whether somebody may be logged in at all.
    pub fn may_log_in(&self, party: &LegParty, now: Time) -> bool {
        let same = |user: &&User| user.name == party.user && user.credential == party.credential;
        self.users
            .iter()
            .find(same)
            .is_some_and(|user| self.usable(user, now))
    }

    /// Notes that a session can be called. False if it could be already.
    pub fn bind(&mut self, session: SessionId, party: &LegParty) -> bool {
        let devices = self.devices.entry(party.user.clone()).or_default();
        if !devices.contains(&session) {
            devices.push(session);
        }
        self.bound
            .insert(session, party.clone())
            .is_none_or(|former| former != *party)
    }

    /// Notes that a session cannot be called any more. False if it could not be before.
    pub fn unbind(&mut self, session: SessionId, party: &LegParty) -> bool {
        if let Some(devices) = self.devices.get_mut(&party.user) {
            devices.retain(|bound| *bound != session);
        }
        self.bound.remove(&session).is_some()
    }

    fn channels(&self, of: impl Fn(&PermitRequest) -> bool) -> u32 {
        u32::try_from(self.permits.values().filter(|held| of(held)).count()).unwrap_or(u32::MAX)
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn acquire(&mut self, request: &PermitRequest) -> Result<(), PermitRefusal> {
        let limit = |id, of: fn(&Connection) -> Option<u32>| {
            self.connections
                .iter()
                .find(|connection| connection.id == id)
                .and_then(of)
        };
        if self.permits.len() >= self.max_calls {
            return Err(PermitRefusal::Node);
        }
        let out = self.channels(|held| held.from == request.from);
        if limit(request.from, |c| c.outbound_limit).is_some_and(|limit| out >= limit) {
            return Err(PermitRefusal::Outbound);
        }
        let into = self.channels(|held| held.to == request.to);
        if limit(request.to, |c| c.inbound_limit).is_some_and(|limit| into >= limit) {
            return Err(PermitRefusal::Inbound);
        }
        self.permits.insert(request.call, request.clone());
        Ok(())
    }

    /// Tells whether a call has its place.
    pub fn has_permit(&self, call: CallId) -> bool {
        self.permits.contains_key(&call)
    }

    /// Gives a place back.
    pub fn release(&mut self, call: CallId) {
        self.permits.remove(&call);
    }

    /// Writes a snapshot.
    pub fn persist(&mut self, call: CallId) {
        self.snapshots.insert(call);
    }

    /// Forgets a snapshot. False if there was none.
    pub fn forget(&mut self, call: CallId) -> bool {
        self.snapshots.remove(&call)
    }

    /// Returns what is still held: nothing may be at the end.
    pub fn remains(&self) -> [(&'static str, usize); 3] {
        [
            ("sessions that can be called", self.bound.len()),
            ("permits", self.permits.len()),
            ("snapshots", self.snapshots.len()),
        ]
    }
}
