//! Decides which webhook is sent when, and does no I/O: drive it with what happens and the time, drain
//! [`Courier::poll_output`], and come back at [`Courier::poll_timeout`].
//!
//! - Webhooks of one call to one endpoint, which is a connection's URL with its failover, are sent one
//!   after the other, in the order of the queue: the next one when the one before was delivered or given
//!   up.
//! - A webhook is tried [`ATTEMPTS`] times: twice at the URL, then twice at the failover URL, with 1 s, 2 s
//!   and 5 s in between.
//! - Tenants take turns, and so do the endpoints of a tenant and the calls of an endpoint. Each of them
//!   may have so many requests under way; an endpoint that failed last gets one at a time. A dead endpoint
//!   holds up nobody but itself.
//! - The queue is bounded, for each endpoint and in all. What is too much is dropped, the oldest first:
//!   of the endpoint that is full, or of the one that has the most waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ringtrip_model::{AccountId, CallId, CredentialConnectionId, Time};
use ringtrip_store::QueuedWebhook;

/// How often a webhook is tried before it is given up.
pub const ATTEMPTS: u32 = 4;
/// How long a webhook waits after its first, second and third failure.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Tells whether an attempt, counted from 1, goes to the failover URL, if there is one.
pub const fn goes_to_failover(attempt: u32) -> bool {
    attempt > ATTEMPTS / 2
}

/// How much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way in all.
    pub in_flight: usize,
    /// Requests under way of one tenant.
    pub in_flight_of_account: usize,
    /// Requests under way to one endpoint.
    pub in_flight_of_endpoint: usize,
    /// Webhooks that wait or are under way in all.
    pub queued: usize,
    /// Webhooks that wait for one endpoint or are under way to it.
    pub queued_of_endpoint: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 512,
            in_flight_of_account: 32,
            in_flight_of_endpoint: 8,
            queued: 100_000,
            queued_of_endpoint: 10_000,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send a webhook, then [`Courier::handle_attempted`].
    Attempt(Attempt),
    /// Give a webhook up that the queue has no room for.
    Drop {
        /// Its place in the queue.
        number: i64,
    },
}

/// A request to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The webhook's place in the queue.
    pub number: i64,
    /// The tenant.
    pub account: AccountId,
    /// Whose URL it goes to.
    pub connection: CredentialConnectionId,
    /// The call.
    pub call: CallId,
    /// Which attempt it is, from 1 to [`ATTEMPTS`].
    pub attempt: u32,
}

impl Attempt {
    /// Tells whether no other attempt follows if this one fails.
    pub const fn is_last(&self) -> bool {
        self.attempt >= ATTEMPTS
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint accepted it.
    Accepted,
    /// It did not; another attempt may follow.
    Failed,
    /// There is nobody to send it to: no other attempt follows.
    Pointless,
}

/// Everything that waits and everything that is under way.
#[derive(Debug, Default)]
pub struct Courier {
    limits: Limits,
    /// Webhooks that wait or are under way, so that one that is named again is not taken twice.
    known: BTreeSet<i64>,
    accounts: BTreeMap<AccountId, Account>,
    endpoints: BTreeMap<CredentialConnectionId, Endpoint>,
    /// Tenants that could be served, in the order of their turns.
    turns: VecDeque<AccountId>,
    timers: BTreeSet<(Time, CredentialConnectionId, CallId)>,
    in_flight: usize,
    waiting: usize,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default)]
struct Account {
    /// Endpoints that could be served, in the order of their turns.
    turns: VecDeque<CredentialConnectionId>,
    has_turn: bool,
    in_flight: usize,
    /// Endpoints that are known, whatever they are doing.
    endpoints: usize,
}

#[derive(Debug)]
struct Endpoint {
    account: AccountId,
    lanes: BTreeMap<CallId, Lane>,
    /// Lanes that could be served, in the order of their turns; some are gone, or not ready any more.
    turns: VecDeque<CallId>,
    has_turn: bool,
    in_flight: usize,
    /// The last request failed.
    failing: bool,
    /// What waits, oldest first. What is under way does not wait.
    waiting: BTreeMap<i64, CallId>,
}

/// The webhooks of one call to one endpoint.
#[derive(Debug)]
struct Lane {
    jobs: VecDeque<Job>,
    state: LaneState,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    number: i64,
    tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LaneState {
    /// Its first webhook may be sent.
    Ready,
    /// Its first webhook is under way.
    InFlight,
    /// Its first webhook failed and waits.
    Paused(Time),
}

impl Courier {
    /// Makes an empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Returns how many webhooks wait or are under way.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Tells whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes a webhook into the queue. One that is there already is passed over.
    pub fn handle_queued(&mut self, webhook: QueuedWebhook) {
        let QueuedWebhook {
            number,
            account,
            connection,
            call,
            tries,
        } = webhook;
        if !self.known.insert(number) {
            return;
        }
        let endpoint = self.endpoints.entry(connection).or_insert_with(|| {
            self.accounts.entry(account).or_default().endpoints += 1;
            Endpoint::new(account)
        });
        let lane = endpoint.lanes.entry(call).or_insert_with(|| {
            endpoint.turns.push_back(call);
            Lane {
                jobs: VecDeque::with_capacity(1),
                state: LaneState::Ready,
            }
        });
        lane.jobs.push_back(Job { number, tries });
        endpoint.waiting.insert(number, call);
        self.waiting += 1;
        let queued = endpoint.waiting.len() + endpoint.in_flight;
        if queued > self.limits.queued_of_endpoint {
            self.drop_oldest(connection);
        } else if self.known.len() > self.limits.queued {
            self.drop_of_the_fullest();
        }
        self.give_turn(connection);
        self.dispatch();
    }

    /// Takes what came of an attempt. It must be written down before, since the next webhook of the call
    /// goes out now.
    pub fn handle_attempted(&mut self, attempt: &Attempt, outcome: Outcome, now: Time) {
        let (connection, call) = (attempt.connection, attempt.call);
        let Some(endpoint) = self.endpoints.get_mut(&connection) else {
            return;
        };
        let Some(lane) = endpoint.lanes.get_mut(&call) else {
            return;
        };
        let Some(job) = lane
            .jobs
            .front_mut()
            .filter(|job| job.number == attempt.number && lane.state == LaneState::InFlight)
        else {
            return;
        };
        endpoint.failing = outcome == Outcome::Failed;
        endpoint.in_flight -= 1;
        self.in_flight -= 1;
        if let Some(account) = self.accounts.get_mut(&endpoint.account) {
            account.in_flight -= 1;
        }
        if outcome != Outcome::Failed || attempt.is_last() {
            self.known.remove(&job.number);
            lane.jobs.pop_front();
            if lane.jobs.is_empty() {
                endpoint.lanes.remove(&call);
            } else {
                lane.state = LaneState::Ready;
                endpoint.turns.push_back(call);
            }
        } else {
            job.tries = attempt.attempt;
            let pause = PAUSES[(attempt.attempt as usize - 1).min(PAUSES.len() - 1)];
            lane.state = LaneState::Paused(now + pause);
            endpoint.waiting.insert(job.number, call);
            self.waiting += 1;
            self.timers.insert((now + pause, connection, call));
        }
        self.give_turn(connection);
        self.forget_if_idle(connection);
        self.dispatch();
    }

    /// Lets those go on whose pause is over.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((due, connection, call)) = self.timers.first().copied() {
            if due > now {
                break;
            }
            self.timers.pop_first();
            if let Some(endpoint) = self.endpoints.get_mut(&connection)
                && let Some(lane) = endpoint.lanes.get_mut(&call)
                && lane.state == LaneState::Paused(due)
            {
                lane.state = LaneState::Ready;
                endpoint.turns.push_back(call);
                self.give_turn(connection);
            }
        }
        self.dispatch();
    }

    /// Returns the next thing to do; drain it to `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`Courier::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(due, ..)| *due)
    }

    // ---- inside ----

    /// Puts an endpoint in line if it could be served, and its tenant with it.
    fn give_turn(&mut self, connection: CredentialConnectionId) {
        let Some(endpoint) = self.endpoints.get_mut(&connection) else {
            return;
        };
        let id = endpoint.account;
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        if !endpoint.has_turn && endpoint.could_be_served(&self.limits) {
            endpoint.has_turn = true;
            account.turns.push_back(connection);
        }
        if !account.has_turn
            && !account.turns.is_empty()
            && account.in_flight < self.limits.in_flight_of_account
        {
            account.has_turn = true;
            self.turns.push_back(id);
        }
    }

    /// Sends what may be sent.
    fn dispatch(&mut self) {
        while self.in_flight < self.limits.in_flight
            && let Some(id) = self.turns.pop_front()
        {
            let Some(account) = self.accounts.get_mut(&id) else {
                continue;
            };
            account.has_turn = false;
            let Some(connection) = account.turns.pop_front() else {
                continue;
            };
            let Some(endpoint) = self.endpoints.get_mut(&connection) else {
                continue;
            };
            endpoint.has_turn = false;
            if endpoint.could_be_served(&self.limits)
                && let Some((call, job)) = endpoint.begin()
            {
                account.in_flight += 1;
                self.in_flight += 1;
                self.waiting -= 1;
                self.outputs.push_back(Output::Attempt(Attempt {
                    number: job.number,
                    account: id,
                    connection,
                    call,
                    attempt: (job.tries + 1).min(ATTEMPTS),
                }));
            }
            self.give_turn(connection);
            self.forget_if_idle(connection);
        }
    }

    fn drop_of_the_fullest(&mut self) {
        let fullest = self
            .endpoints
            .iter()
            .max_by_key(|(_, endpoint)| endpoint.waiting.len());
        if let Some((&connection, _)) = fullest {
            self.drop_oldest(connection);
        }
    }

    fn drop_oldest(&mut self, connection: CredentialConnectionId) {
        let Some(endpoint) = self.endpoints.get_mut(&connection) else {
            return;
        };
        let Some((number, call)) = endpoint.waiting.pop_first() else {
            return;
        };
        self.waiting -= 1;
        self.known.remove(&number);
        if let Some(lane) = endpoint.lanes.get_mut(&call) {
            let was_first = lane.jobs.front().is_some_and(|job| job.number == number);
            lane.jobs.retain(|job| job.number != number);
            if lane.jobs.is_empty() {
                endpoint.lanes.remove(&call);
            } else if was_first && matches!(lane.state, LaneState::Paused(_)) {
                // The pause was that of the one that is gone.
                lane.state = LaneState::Ready;
                endpoint.turns.push_back(call);
            }
        }
        self.outputs.push_back(Output::Drop { number });
        // It need not be the endpoint that brought this about.
        self.give_turn(connection);
        self.forget_if_idle(connection);
    }

    fn forget_if_idle(&mut self, connection: CredentialConnectionId) {
        let Some(endpoint) = self.endpoints.get(&connection) else {
            return;
        };
        if !endpoint.lanes.is_empty() || endpoint.has_turn {
            return;
        }
        let id = endpoint.account;
        self.endpoints.remove(&connection);
        if let Some(account) = self.accounts.get_mut(&id) {
            account.endpoints -= 1;
            if account.endpoints == 0 && !account.has_turn {
                self.accounts.remove(&id);
            }
        }
    }
}

impl Endpoint {
    fn new(account: AccountId) -> Self {
        Self {
            account,
            lanes: BTreeMap::new(),
            turns: VecDeque::new(),
            has_turn: false,
            in_flight: 0,
            failing: false,
            waiting: BTreeMap::new(),
        }
    }

    fn could_be_served(&self, limits: &Limits) -> bool {
        let room = if self.failing {
            1
        } else {
            limits.in_flight_of_endpoint
        };
        !self.turns.is_empty() && self.in_flight < room
    }

    /// Takes the first webhook of the lane whose turn it is.
    fn begin(&mut self) -> Option<(CallId, Job)> {
        while let Some(call) = self.turns.pop_front() {
            if let Some(lane) = self.lanes.get_mut(&call)
                && lane.state == LaneState::Ready
                && let Some(job) = lane.jobs.front().copied()
            {
                lane.state = LaneState::InFlight;
                self.in_flight += 1;
                self.waiting.remove(&job.number);
                return Some((call, job));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use ringtrip_model::Generator;

    use super::*;

    const SMALL: Limits = Limits {
        in_flight: 6,
        in_flight_of_account: 4,
        in_flight_of_endpoint: 2,
        queued: 12,
        queued_of_endpoint: 5,
    };

    fn secs(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    /// Names tenants, connections and calls by small numbers.
    fn account(n: u8) -> AccountId {
        AccountId::generate(&mut Generator::from_seed([n; 32]))
    }

    fn call(n: u8) -> CallId {
        CallId::generate(&mut Generator::from_seed([n; 32]))
    }

    fn webhook(number: i64, of: u8, connection: i64, of_call: u8) -> QueuedWebhook {
        QueuedWebhook {
            number,
            account: account(of),
            connection: CredentialConnectionId::from_i64(connection),
            call: call(of_call),
            tries: 0,
        }
    }

    fn drain(courier: &mut Courier) -> Vec<Output> {
        std::iter::from_fn(|| courier.poll_output()).collect()
    }

    fn attempts(courier: &mut Courier) -> Vec<Attempt> {
        let attempts = drain(courier).into_iter().map(|output| match output {
            Output::Attempt(attempt) => attempt,
            Output::Drop { number } => panic!("{number} is dropped"),
        });
        attempts.collect()
    }

    fn numbers(courier: &mut Courier) -> Vec<i64> {
        let attempts = attempts(courier).into_iter();
        attempts.map(|attempt| attempt.number).collect()
    }

    fn one(courier: &mut Courier) -> Attempt {
        let mut all = attempts(courier);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn a_call_is_told_in_order_and_others_do_not_wait_for_it() {
        let mut courier = Courier::new(Limits::default());
        for number in 1..=3 {
            courier.handle_queued(webhook(number, 1, 1, 1));
        }
        courier.handle_queued(webhook(4, 1, 1, 2));
        courier.handle_queued(webhook(5, 1, 2, 1));
        let first = attempts(&mut courier);
        assert_eq!(
            first.iter().map(|a| a.number).collect::<Vec<_>>(),
            [1, 4, 5],
            "another call, and the same call elsewhere"
        );
        courier.handle_attempted(&first[0], Outcome::Accepted, secs(1));
        let second = one(&mut courier);
        assert_eq!(second.number, 2);
        courier.handle_attempted(&second, Outcome::Accepted, secs(1));
        assert_eq!(numbers(&mut courier), [3]);
        assert_eq!(courier.len(), 3);
    }

    #[test]
    fn a_failure_pauses_its_call_and_is_repeated_at_the_failover() {
        let mut courier = Courier::new(Limits::default());
        courier.handle_queued(webhook(1, 1, 1, 1));
        courier.handle_queued(webhook(2, 1, 1, 1));
        let mut now = secs(100);
        let mut seen = Vec::new();
        loop {
            let attempt = one(&mut courier);
            if attempt.number == 2 {
                break;
            }
            seen.push((attempt.attempt, goes_to_failover(attempt.attempt), now));
            // Each request takes a second to fail.
            now += Duration::from_secs(1);
            courier.handle_attempted(&attempt, Outcome::Failed, now);
            if let Some(due) = courier.poll_timeout() {
                courier.handle_timeout(Time::from_micros(due.as_micros() - 1));
                assert_eq!(numbers(&mut courier), [0; 0], "too early");
                now = due;
                courier.handle_timeout(now);
            }
        }
        assert_eq!(
            seen,
            [
                (1, false, secs(100)),
                (2, false, secs(102)),
                (3, true, secs(105)),
                (4, true, secs(111)),
            ]
        );
        assert_eq!(courier.len(), 1, "given up");
        assert_eq!(courier.poll_timeout(), None);
    }

    #[test]
    fn what_was_tried_before_a_restart_counts() {
        let mut courier = Courier::new(Limits::default());
        courier.handle_queued(QueuedWebhook {
            tries: 3,
            ..webhook(1, 1, 1, 1)
        });
        let last = one(&mut courier);
        assert!(last.attempt == 4 && last.is_last());
        courier.handle_attempted(&last, Outcome::Failed, secs(1));
        assert!(courier.is_empty());
        assert!(courier.endpoints.is_empty() && courier.accounts.is_empty());
    }

    #[test]
    fn what_has_nobody_to_go_to_is_not_repeated() {
        let mut courier = Courier::new(Limits::default());
        courier.handle_queued(webhook(1, 1, 1, 1));
        courier.handle_queued(webhook(2, 1, 1, 1));
        let attempt = one(&mut courier);
        courier.handle_attempted(&attempt, Outcome::Pointless, secs(1));
        assert_eq!(numbers(&mut courier), [2]);
    }

    #[test]
    fn a_webhook_that_is_named_twice_is_sent_once() {
        let mut courier = Courier::new(Limits::default());
        courier.handle_queued(webhook(1, 1, 1, 1));
        courier.handle_queued(webhook(1, 1, 1, 1));
        let attempt = one(&mut courier);
        courier.handle_queued(webhook(1, 1, 1, 1));
        courier.handle_attempted(&attempt, Outcome::Accepted, secs(1));
        assert_eq!(numbers(&mut courier), [0; 0]);
        courier.handle_queued(webhook(1, 1, 1, 1));
        assert_eq!(numbers(&mut courier), [1], "asked for again after its end");
    }

    #[test]
    fn requests_under_way_are_bounded_for_endpoint_tenant_and_node() {
        let mut courier = Courier::new(Limits {
            queued: 100,
            ..SMALL
        });
        let mut number = 0;
        for (tenant, connection) in [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)] {
            for of_call in 0..3 {
                number += 1;
                courier.handle_queued(webhook(number, tenant, connection, of_call));
            }
        }
        let begun = attempts(&mut courier);
        assert_eq!(begun.len(), 6);
        let of = |connection: i64| {
            let id = CredentialConnectionId::from_i64(connection);
            begun.iter().filter(|a| a.connection == id).count()
        };
        assert_eq!((of(1), of(2), of(3)), (2, 2, 0));
        assert_eq!(of(4) + of(5), 2);
    }

    #[test]
    fn a_dead_endpoint_holds_up_nobody_else() {
        let mut courier = Courier::new(SMALL);
        for number in 1..=5 {
            courier.handle_queued(webhook(number, 1, 1, u8::try_from(number).unwrap()));
        }
        let dead = attempts(&mut courier);
        assert_eq!(dead.len(), 2, "as many as one endpoint may have");
        courier.handle_queued(webhook(10, 1, 2, 1));
        assert_eq!(numbers(&mut courier), [10], "another one of the tenant");
        // Once it has failed, it is tried one at a time.
        courier.handle_attempted(&dead[0], Outcome::Failed, secs(5));
        assert_eq!(numbers(&mut courier), [0; 0]);
        courier.handle_attempted(&dead[1], Outcome::Failed, secs(5));
        let next = one(&mut courier);
        // It comes back to life, and to its full share.
        courier.handle_attempted(&next, Outcome::Accepted, secs(6));
        courier.handle_timeout(secs(6));
        assert_eq!(attempts(&mut courier).len(), 2);
    }

    #[test]
    fn tenants_take_turns() {
        let limits = Limits {
            in_flight: 1,
            ..Limits::default()
        };
        let mut courier = Courier::new(limits);
        for number in 1..=4 {
            courier.handle_queued(webhook(number, 1, 1, u8::try_from(number).unwrap()));
        }
        courier.handle_queued(webhook(5, 2, 2, 1));
        courier.handle_queued(webhook(6, 1, 3, 1));
        let mut order = Vec::new();
        while let Some(Output::Attempt(attempt)) = courier.poll_output() {
            order.push(attempt.number);
            courier.handle_attempted(&attempt, Outcome::Accepted, secs(1));
        }
        assert_eq!(order, [1, 2, 5, 6, 3, 4]);
        assert!(courier.endpoints.is_empty() && courier.accounts.is_empty());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_of_the_endpoint() {
        let mut courier = Courier::new(SMALL);
        for number in 1..=3 {
            courier.handle_queued(webhook(number, 1, 1, 1));
        }
        assert_eq!(numbers(&mut courier), [1]);
        for number in 4..=5 {
            courier.handle_queued(webhook(number, 1, 1, 1));
        }
        assert_eq!(drain(&mut courier), []);
        courier.handle_queued(webhook(6, 1, 1, 1));
        assert_eq!(
            drain(&mut courier),
            [Output::Drop { number: 2 }],
            "the oldest that is not under way"
        );
        assert_eq!(courier.len(), 5);
    }

    #[test]
    fn a_full_node_drops_the_oldest_of_the_endpoint_with_the_most() {
        let limits = Limits {
            in_flight: 0,
            queued: 4,
            ..SMALL
        };
        let mut courier = Courier::new(limits);
        courier.handle_queued(webhook(1, 1, 1, 1));
        for number in 2..=4 {
            courier.handle_queued(webhook(number, 2, 2, 1));
        }
        courier.handle_queued(webhook(5, 3, 3, 1));
        assert_eq!(drain(&mut courier), [Output::Drop { number: 2 }]);
    }

    #[test]
    fn what_follows_a_dropped_webhook_does_not_wait_for_its_pause() {
        let limits = Limits {
            queued_of_endpoint: 1,
            ..SMALL
        };
        let mut courier = Courier::new(limits);
        courier.handle_queued(webhook(1, 1, 1, 1));
        let attempt = one(&mut courier);
        courier.handle_attempted(&attempt, Outcome::Failed, secs(1));
        courier.handle_queued(webhook(2, 1, 1, 1));
        let outputs = drain(&mut courier);
        assert_eq!(outputs[0], Output::Drop { number: 1 });
        assert!(matches!(outputs[1], Output::Attempt(a) if a.number == 2 && a.attempt == 1));
        courier.handle_timeout(secs(10));
        assert_eq!(drain(&mut courier), [], "the old timer moves nothing");
    }

    /// Random traffic: order within a call, bounds, and nothing left over.
    #[test]
    fn every_webhook_is_delivered_given_up_or_dropped_and_calls_keep_their_order() {
        for seed in 0..200 {
            let mut rng = Generator::from_seed([seed; 32]);
            let mut courier = Courier::new(SMALL);
            let (mut now, mut number) = (secs(1), 0);
            let mut under_way: Vec<Attempt> = Vec::new();
            let mut last: BTreeMap<(CredentialConnectionId, CallId), i64> = BTreeMap::new();
            let (mut ended, mut dropped) = (0, 0);
            for step in 0..400 {
                match rng.below(4) {
                    0 if step < 300 => {
                        number += 1;
                        let connection = i64::from(rng.below(4));
                        let tenant = u8::try_from(connection / 2).unwrap();
                        let of_call = u8::try_from(rng.below(3)).unwrap();
                        courier.handle_queued(webhook(number, tenant, connection, of_call));
                    }
                    1 if !under_way.is_empty() => {
                        let at = rng.below(u32::try_from(under_way.len()).unwrap());
                        let attempt = under_way.swap_remove(at as usize);
                        // One endpoint is dead.
                        let accepted = attempt.connection.as_i64() != 3 && rng.below(3) > 0;
                        ended += usize::from(accepted || attempt.is_last());
                        let outcome = if accepted {
                            Outcome::Accepted
                        } else {
                            Outcome::Failed
                        };
                        courier.handle_attempted(&attempt, outcome, now);
                    }
                    _ => {
                        now = courier.poll_timeout().unwrap_or(now).max(now);
                        courier.handle_timeout(now);
                    }
                }
                for output in drain(&mut courier) {
                    match output {
                        Output::Attempt(attempt) => {
                            let lane = (attempt.connection, attempt.call);
                            let before = last.insert(lane, attempt.number).unwrap_or(0);
                            assert!(before <= attempt.number, "out of order");
                            assert!(
                                !under_way.iter().any(|a| (a.connection, a.call) == lane),
                                "two of one call at once"
                            );
                            under_way.push(attempt);
                        }
                        Output::Drop { .. } => dropped += 1,
                    }
                }
                assert!(under_way.len() <= SMALL.in_flight);
                assert_eq!(under_way.len(), courier.in_flight);
                assert!(courier.len() <= SMALL.queued);
                assert_eq!(courier.len(), courier.waiting + courier.in_flight);
            }
            for _ in 0..10_000 {
                let Some(attempt) = under_way.pop() else {
                    let Some(due) = courier.poll_timeout() else {
                        break;
                    };
                    now = due.max(now);
                    courier.handle_timeout(now);
                    under_way.extend(attempts(&mut courier));
                    continue;
                };
                ended += 1;
                courier.handle_attempted(&attempt, Outcome::Accepted, now);
                under_way.extend(attempts(&mut courier));
            }
            assert!(courier.is_empty());
            assert!(courier.endpoints.is_empty() && courier.accounts.is_empty());
            assert_eq!(ended + dropped, usize::try_from(number).unwrap());
        }
    }
}
