//! How many calls may run at once.

use std::collections::HashMap;

use ringtrip_model::{CallId, ChannelLimits, CredentialConnectionId, PermitRefusal, PermitRequest};

#[derive(Debug)]
pub(crate) struct Permits {
    max_calls: usize,
    calls: HashMap<CallId, (CredentialConnectionId, CredentialConnectionId)>,
    outbound: HashMap<CredentialConnectionId, u32>,
    inbound: HashMap<CredentialConnectionId, u32>,
}

fn count(counts: &HashMap<CredentialConnectionId, u32>, id: CredentialConnectionId) -> u32 {
    counts.get(&id).copied().unwrap_or(0)
}

fn lower(counts: &mut HashMap<CredentialConnectionId, u32>, id: CredentialConnectionId) {
    if let Some(count) = counts.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&id);
        }
    }
}

impl Permits {
    pub(crate) fn new(max_calls: usize) -> Self {
        Self {
            max_calls,
            calls: HashMap::new(),
            outbound: HashMap::new(),
            inbound: HashMap::new(),
        }
    }

    pub(crate) fn acquire(
        &mut self,
        request: &PermitRequest,
        limits: ChannelLimits,
    ) -> Result<(), PermitRefusal> {
        if self.calls.contains_key(&request.call) {
            return Ok(());
        }
        if self.calls.len() >= self.max_calls {
            return Err(PermitRefusal::Node);
        }
        if limits
            .outbound
            .is_some_and(|limit| count(&self.outbound, request.from) >= limit)
        {
            return Err(PermitRefusal::Outbound);
        }
        if limits
            .inbound
            .is_some_and(|limit| count(&self.inbound, request.to) >= limit)
        {
            return Err(PermitRefusal::Inbound);
        }
        self.calls.insert(request.call, (request.from, request.to));
        *self.outbound.entry(request.from).or_default() += 1;
        *self.inbound.entry(request.to).or_default() += 1;
        Ok(())
    }

    pub(crate) fn release(&mut self, call: CallId) {
        if let Some((from, to)) = self.calls.remove(&call) {
            lower(&mut self.outbound, from);
            lower(&mut self.inbound, to);
        }
    }
}
